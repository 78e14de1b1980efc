import sys

# What every recipe of this package shares: how a run is logged, saved, resumed and seeded.
default_scope = 'mmpretrain'
custom_imports = dict(imports=['vit_plugins'], allow_failed_imports=False)

default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=100),
    param_scheduler=dict(type='ParamSchedulerHook'),
    # Whole at any moment, the newest three and the best by validation.
    checkpoint=dict(
        type='CrashSafeCheckpointHook', interval=1, max_keep_ckpts=3, save_best='auto'
    ),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    visualization=dict(type='VisualizationHook', enable=False),
    # Ours, here rather than in `custom_hooks`, which a recipe would replace with its own list.
    seeded_draws=dict(type='SeededDrawsHook'),
    training_guard=dict(type='TrainingGuardHook'),
    progress=dict(type='ProgressHook'),
    learning_curve=dict(type='LearningCurveHook'),
    report_page=dict(type='ReportPageHook', enable=False),  # recipes for people switch it on
)

env_cfg = dict(
    cudnn_benchmark=False,
    # a process that has used Apple's libraries must not be forked
    mp_cfg=dict(
        mp_start_method='fork' if sys.platform == 'linux' else 'spawn', opencv_num_threads=0
    ),
    dist_cfg=dict(backend='nccl'),
)

# For TensorBoard add dict(type='TensorboardVisBackend') to the list (pip install tensorboard).
vis_backends = [dict(type='LocalVisBackend')]
visualizer = dict(type='UniversalVisualizer', vis_backends=vis_backends)

log_level = 'INFO'
load_from = None
resume = False
randomness = dict(seed=0, deterministic=False)

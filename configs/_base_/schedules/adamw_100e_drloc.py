# DRLoc's schedule for every model: the Swin recipe stopped after 100 of its 300 epochs (the
# published log ends at three quarters of the peak learning rate), gradients clipped at 5. lag=1 is
# the step timing of the released code: iterations 0 and 1 run at the first learning rate.
optim_wrapper = dict(
    optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.05, eps=1e-8, betas=(0.9, 0.999)),
    paramwise_cfg=dict(
        norm_decay_mult=0.0,
        bias_decay_mult=0.0,
        flat_decay_mult=0.0,
        custom_keys={'.relative_position_bias_table': dict(decay_mult=0.0)},
    ),
    clip_grad=dict(max_norm=5.0),
)
param_scheduler = [
    dict(
        type='WarmupCosineLR',
        warmup=20,
        total=300,
        warmup_lr=1e-6,
        eta_min=1e-5,
        lag=1,
        convert_to_iter_based=True,
    )
]
train_cfg = dict(by_epoch=True, max_epochs=100, val_interval=1)
val_cfg = dict()
test_cfg = dict()
auto_scale_lr = dict(base_batch_size=1024)

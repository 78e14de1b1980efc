# What the studies of the small-data models share: CIFAR-10 at its own 32 px, 250 training images
# of each class, 500 steps of 50 images whatever the number of images, a ViT of width 48 and depth
# 4. Class folders come by --data-root. A fifth of train/ is for validation (50 images of each
# class: curves, and the choice of the learning rate); test/, 10,000 images, is looked at once, by
# the last weights.
_base_ = ['../default_runtime.py']

data_preprocessor = dict(
    type='StackedDataPreprocessor',
    num_classes=10,
    mean=[125.307, 122.961, 113.8575],  # RGB
    std=[51.5865, 50.847, 51.255],
    to_rgb=True,
)
arch = dict(embed_dims=48, num_layers=4, num_heads=4, feedforward_channels=192)
model = dict(
    type='ImageClassifier',
    backbone=dict(type='VisionTransformer', arch=arch, img_size=32, patch_size=4),
    neck=None,
    head=dict(
        type='VisionTransformerClsHead',
        num_classes=10,
        in_channels=48,
        loss=dict(type='LabelSmoothLoss', label_smooth_val=0.1, mode='original'),
        init_cfg=dict(type='TruncNormal', layer='Linear', std=0.02),
    ),
    init_cfg=[
        dict(type='TruncNormal', layer='Linear', std=0.02),
        dict(type='Constant', layer='LayerNorm', val=1.0, bias=0.0),
    ],
)

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='SimpleRandomCrop', crop_size=32),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='PackInputs'),
]
test_pipeline = [dict(type='LoadImageFromFile'), dict(type='PackInputs')]
train_dataloader = dict(
    batch_size=50,
    num_workers=0,
    collate_fn=dict(type='stacked_collate'),
    dataset=dict(
        type='ClassSubset',
        num_per_class=250,
        dataset=dict(type='ImageFolder', data_root='data/cifar10/train', pipeline=train_pipeline),
    ),
    # Without end: a data set of five batches is not restarted every fifth step.
    sampler=dict(type='InfiniteSampler', shuffle=True),
)
val_dataloader = dict(
    batch_size=500,
    num_workers=0,
    collate_fn=dict(type='stacked_collate'),
    dataset=dict(
        type='ClassSubset',
        num_per_class=50,
        dataset=dict(type='ImageFolder', data_root='data/cifar10/val', pipeline=test_pipeline),
    ),
    sampler=dict(type='DefaultSampler', shuffle=False),
)
test_dataloader = dict(
    batch_size=500,
    num_workers=0,
    collate_fn=dict(type='stacked_collate'),
    dataset=dict(type='ImageFolder', data_root='data/cifar10/test', pipeline=test_pipeline),
    sampler=dict(type='DefaultSampler', shuffle=False),
)
val_evaluator = test_evaluator = dict(type='Accuracy', topk=1)

optim_wrapper = dict(
    optimizer=dict(type='AdamW', lr=2e-3, weight_decay=0.05),
    paramwise_cfg=dict(norm_decay_mult=0.0, bias_decay_mult=0.0, flat_decay_mult=0.0),
    clip_grad=dict(max_norm=1.0),
)
param_scheduler = [
    dict(type='WarmupCosineLR', warmup=50, warmup_lr=1e-6, eta_min=1e-5, by_epoch=False)
]
train_cfg = dict(by_epoch=False, max_iters=500, val_interval=125)
val_cfg = dict()
test_cfg = dict()
# Nothing is chosen by validation: the last step counts.
default_hooks = dict(
    checkpoint=dict(by_epoch=False, interval=250, save_best=None, max_keep_ckpts=2),
    logger=dict(interval=50, log_metric_by_epoch=False),
)
log_processor = dict(by_epoch=False)

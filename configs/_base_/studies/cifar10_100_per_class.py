# What the small studies on CIFAR-10 share: a tiny DeiT III at 32 px, 100 training images of each
# class, equal epochs. Class folders come by --data-root; a fifth of train/ is for validation
# (chosen settings, curves), test/ is looked at once, by the last weights.
_base_ = ['../default_runtime.py']

data_preprocessor = dict(
    type='StackedDataPreprocessor',
    num_classes=10,
    mean=[125.307, 122.961, 113.8575],  # RGB
    std=[51.5865, 50.847, 51.255],
    to_rgb=True,
)
model = dict(
    type='ImageClassifier',
    backbone=dict(
        type='DeiT3ViT',
        arch=dict(embed_dims=64, num_layers=4, num_heads=2, feedforward_channels=256),
        img_size=32,
        patch_size=4,
    ),
    neck=None,
    head=dict(
        type='VisionTransformerClsHead',
        num_classes=10,
        in_channels=64,
        loss=dict(type='LabelSmoothLoss', label_smooth_val=0.1, mode='original'),
    ),
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
        num_per_class=100,
        dataset=dict(type='ImageFolder', data_root='data/cifar10/train', pipeline=train_pipeline),
    ),
    sampler=dict(type='DefaultSampler', shuffle=True),
)
val_dataloader = dict(
    batch_size=500,
    num_workers=0,
    collate_fn=dict(type='stacked_collate'),
    dataset=dict(
        type='ClassSubset',
        num_per_class=100,
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
    optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.05),
    paramwise_cfg=dict(norm_decay_mult=0.0, bias_decay_mult=0.0, flat_decay_mult=0.0),
    clip_grad=dict(max_norm=1.0),
)
param_scheduler = [
    dict(type='WarmupCosineLR', warmup=4, warmup_lr=1e-6, eta_min=1e-5, convert_to_iter_based=True)
]
train_cfg = dict(by_epoch=True, max_epochs=40, val_interval=8)
val_cfg = dict()
test_cfg = dict()

# Nothing is chosen by validation: the last epoch counts. Only it can be resumed from.
default_hooks = dict(
    checkpoint=dict(interval=8, save_best=None, max_keep_ckpts=2),
    logger=dict(interval=20),
)

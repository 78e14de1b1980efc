# What the studies of ConViT on photos share: CIFAR-10 at 32 px, 250 training images of each class
# kept in memory and augmented as a batch, 2,500 steps of 100 images, a ViT of width 72 with nine
# heads (as many as 3 x 3 places of a convolution) and patches of 4, the class read from the mean
# of the patches for all models alike. Class folders come by --data-root; a fifth of train/ is for
# validation, test/ is looked at once, by the last weights.
_base_ = './cifar10_small.py'

model = dict(
    backbone=dict(
        arch=dict(embed_dims=72, num_layers=4, num_heads=9, feedforward_channels=288),
        out_type='featmap',
    ),
    neck=dict(_delete_=True, type='GlobalAveragePooling'),
    head=dict(
        _delete_=True,
        type='LinearClsHead',
        num_classes=10,
        in_channels=72,
        loss=dict(type='LabelSmoothLoss', label_smooth_val=0.1, mode='original'),
        init_cfg=dict(type='TruncNormal', layer='Linear', std=0.02),
    ),
)
data_preprocessor = dict(
    batch_transforms=[
        dict(type='BatchSimpleRandomCrop', crop_size=32, padding=4, flip_prob=0.5),
    ]
)
train_dataloader = dict(
    batch_size=100,
    dataset=dict(
        _delete_=True,
        type='CachedImages',
        dataset=dict(
            type='ClassSubset',
            num_per_class=250,
            mode='random',
            dataset=dict(
                type='ImageFolder',
                data_root='data/cifar10/train',
                pipeline=[dict(type='LoadImageFromFile'), dict(type='PackInputs')],
            ),
        ),
    ),
)
param_scheduler = [
    dict(type='WarmupCosineLR', warmup=250, warmup_lr=1e-6, eta_min=1e-5, by_epoch=False)
]
train_cfg = dict(by_epoch=False, max_iters=2500, val_interval=500)
default_hooks = dict(
    checkpoint=dict(interval=500),
    logger=dict(interval=100),
)

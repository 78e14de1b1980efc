# What the studies for a GPU share: a tenth of CIFAR-10 (500 training images of each class), 1,000
# steps of 500 images (100 epochs), a ViT of width 192 and depth 6, 2.7M parameters. The 10,000
# test images are looked at once, by the last weights.
_base_ = ['../datasets/cifar10_folders_32_batch.py', '../default_runtime.py']

model = dict(
    type='ImageClassifier',
    backbone=dict(
        type='VisionTransformer',
        arch=dict(embed_dims=192, num_layers=6, num_heads=4, feedforward_channels=768),
        img_size=32,
        patch_size=4,
    ),
    neck=None,
    head=dict(
        type='VisionTransformerClsHead',
        num_classes=10,
        in_channels=192,
        loss=dict(type='LabelSmoothLoss', label_smooth_val=0.1, mode='original'),
        init_cfg=dict(type='TruncNormal', layer='Linear', std=0.02),
    ),
    init_cfg=[
        dict(type='TruncNormal', layer='Linear', std=0.02),
        dict(type='Constant', layer='LayerNorm', val=1.0, bias=0.0),
    ],
)
train_dataloader = dict(
    batch_size=500,
    dataset=dict(
        dataset=dict(
            _delete_=True,
            type='ClassSubset',
            num_per_class=500,
            dataset=dict(
                type='ImageFolder', data_root='data/cifar10/train', pipeline=_base_.pipeline
            ),
        ),
    ),
    # Without end: a data set of ten batches is not restarted every tenth step.
    sampler=dict(type='InfiniteSampler', shuffle=True),
)
optim_wrapper = dict(
    optimizer=dict(type='AdamW', lr=2e-3, weight_decay=0.05),
    paramwise_cfg=dict(norm_decay_mult=0.0, bias_decay_mult=0.0, flat_decay_mult=0.0),
    clip_grad=dict(max_norm=1.0),
)
param_scheduler = [
    dict(type='WarmupCosineLR', warmup=100, warmup_lr=1e-6, eta_min=2e-5, by_epoch=False)
]
train_cfg = dict(by_epoch=False, max_iters=1000, val_interval=1000)
val_cfg = dict()
test_cfg = dict()
default_hooks = dict(
    checkpoint=dict(by_epoch=False, interval=1000, save_best=None, max_keep_ckpts=2),
    logger=dict(interval=50, log_metric_by_epoch=False),
)
log_processor = dict(by_epoch=False)

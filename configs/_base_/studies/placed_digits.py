# What the studies of locality share: handwritten digits of 8 px at random places of a picture of
# 14 px, patches of 2 px (49 tokens), a ViT of width 36 with nine heads, 500 steps of 100 pictures
# whatever their number, no augmentation. The class is read from the mean of the patches, for all
# models alike. Test digits (359, six pictures of each) are not in training at any place.
_base_ = ['../default_runtime.py']

data_preprocessor = dict(
    type='StackedDataPreprocessor',
    num_classes=10,
    mean=[127.5, 127.5, 127.5],
    std=[127.5, 127.5, 127.5],
    to_rgb=False,  # three equal channels
)
model = dict(
    type='ImageClassifier',
    backbone=dict(
        type='VisionTransformer',
        arch=dict(embed_dims=36, num_layers=4, num_heads=9, feedforward_channels=144),
        img_size=14,
        patch_size=2,
        out_type='featmap',
    ),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(
        type='LinearClsHead',
        num_classes=10,
        in_channels=36,
        loss=dict(type='LabelSmoothLoss', label_smooth_val=0.1, mode='original'),
        init_cfg=dict(type='TruncNormal', layer='Linear', std=0.02),
    ),
    init_cfg=[
        dict(type='TruncNormal', layer='Linear', std=0.02),
        dict(type='Constant', layer='LayerNorm', val=1.0, bias=0.0),
    ],
)

pipeline = [dict(type='PackInputs')]
train_dataloader = dict(
    batch_size=100,
    num_workers=0,
    collate_fn=dict(type='stacked_collate'),
    dataset=dict(
        type='ClassSubset',
        num_per_class=50,
        mode='random',
        dataset=dict(type='PlacedDigits', split='trainval', pipeline=pipeline),
    ),
    # Without end: a dataset of one batch is not restarted at every step.
    sampler=dict(type='InfiniteSampler', shuffle=True),
)
val_dataloader = dict(
    batch_size=500,
    num_workers=0,
    collate_fn=dict(type='stacked_collate'),
    dataset=dict(type='PlacedDigits', split='val', copies=6, pipeline=pipeline),
    sampler=dict(type='DefaultSampler', shuffle=False),
)
test_dataloader = dict(
    batch_size=500,
    num_workers=0,
    collate_fn=dict(type='stacked_collate'),
    dataset=dict(type='PlacedDigits', split='test', copies=6, pipeline=pipeline),
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
train_cfg = dict(by_epoch=False, max_iters=500, val_interval=500)
val_cfg = dict()
test_cfg = dict()
# Nothing is chosen by validation: the last step counts.
default_hooks = dict(
    checkpoint=dict(by_epoch=False, interval=250, save_best=None, max_keep_ckpts=2),
    logger=dict(interval=50, log_metric_by_epoch=False),
)
log_processor = dict(by_epoch=False)

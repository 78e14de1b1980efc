# What the retrieval studies start from, in the place of weights of ImageNet: a small ViT that has
# learnt to name the training classes. Class folders by --data-root (photos of 64 px, resized to
# 48); a fifth of the images is for validation, by which nothing is chosen.
_base_ = ['../default_runtime.py']

size = 48
classes = 100
data_preprocessor = dict(
    num_classes=classes,
    mean=[123.675, 116.28, 103.53],  # RGB
    std=[58.395, 57.12, 57.375],
    to_rgb=True,
)
model = dict(
    type='ImageClassifier',
    backbone=dict(
        type='DeiT3ViT',
        arch=dict(embed_dims=192, num_layers=3, num_heads=3, feedforward_channels=768),
        img_size=size,
        patch_size=8,
        layer_scale_init_value=0.0,  # three layers need none
    ),
    head=dict(
        type='VisionTransformerClsHead',
        num_classes=classes,
        in_channels=192,
        loss=dict(type='LabelSmoothLoss', label_smooth_val=0.1, mode='original'),
    ),
)

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='SimpleRandomCrop', crop_size=size),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='PackInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='SimpleRandomCrop', crop_size=size, padding=0),  # the middle of a square is all
    dict(type='PackInputs'),
]
train_dataloader = dict(
    batch_size=64,
    num_workers=0,
    collate_fn=dict(type='stacked_collate'),
    dataset=dict(type='ImageFolder', data_root='data/photos64/train', pipeline=train_pipeline),
    sampler=dict(type='DefaultSampler', shuffle=True),
)
val_dataloader = dict(
    batch_size=250,
    num_workers=0,
    collate_fn=dict(type='stacked_collate'),
    dataset=dict(type='ImageFolder', data_root='data/photos64/val', pipeline=test_pipeline),
    sampler=dict(type='DefaultSampler', shuffle=False),
)
test_dataloader = val_dataloader
val_evaluator = test_evaluator = dict(type='Accuracy', topk=(1, 5))

optim_wrapper = dict(
    optimizer=dict(type='AdamW', lr=2e-3, weight_decay=0.05),
    paramwise_cfg=dict(norm_decay_mult=0.0, bias_decay_mult=0.0, flat_decay_mult=0.0),
    clip_grad=dict(max_norm=1.0),
)
param_scheduler = [
    dict(type='WarmupCosineLR', warmup=2, warmup_lr=1e-6, eta_min=1e-5, convert_to_iter_based=True)
]
train_cfg = dict(by_epoch=True, max_epochs=10, val_interval=5)
val_cfg = dict()
test_cfg = dict()
default_hooks = dict(checkpoint=dict(interval=5, save_best=None, max_keep_ckpts=2))

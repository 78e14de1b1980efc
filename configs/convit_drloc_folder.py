# Your own photos, one folder per class: a ConViT-Ti at 128 px from scratch with the dense relative
# localization loss. It is meant for about 2,000 photos. With fewer than 1,000 photos, or if
# weights of ImageNet may be used, start with convit_drloc_folder_finetune.py.
#
#   python tools/train.py configs/convit_drloc_folder.py --data-root DIR
#   python tools/predict.py work_dirs/convit_drloc_folder NEW_PHOTOS --out classes.csv
#
# DIR contains class folders (a fifth of each class is then used for validation), or train, val and
# test with class folders inside. For rare classes, use --cfg-options balance=sampler (each class
# is sampled equally often) or balance=loss (each class has the same weight in the loss).
#
# Result: 2,000 images of CIFAR-10 as JPEG take 75 s per epoch on one thread of a busy CPU; after 3
# epochs, 23 % of the validation images are classified correctly (10 classes). Not trained by us to
# the end and not tuned (no GPU).
_base_ = ['_base_/default_runtime.py']

val_fraction = 0.2
balance = 'none'
size = 128

model = dict(
    type='ImageClassifier',
    backbone=dict(
        type='ConViT',
        arch='tiny',
        img_size=size,
        patch_size=16,
        out_type='raw',
        drop_path_rate=0.1,
    ),
    neck=None,
    head=dict(
        type='DRLocHead',
        in_channels=192,
        num_extra_tokens=1,
        patch_size=16,
        loss_weight=0.1,
        head=dict(
            type='VisionTransformerClsHead',
            num_classes=2,  # set by --data-root, here and below
            in_channels=192,
            loss=dict(type='LabelSmoothLoss', label_smooth_val=0.1, mode='original'),
            init_cfg=dict(type='TruncNormal', layer='Linear', std=0.02),
        ),
    ),
    init_cfg=[
        dict(type='TruncNormal', layer='Linear', std=0.02),
        dict(type='Constant', layer='LayerNorm', val=1.0, bias=0.0),
    ],
    train_cfg=dict(augments=[dict(type='Mixup', alpha=0.2), dict(type='CutMix', alpha=1.0)]),
)

data_preprocessor = dict(
    type='StackedDataPreprocessor',
    num_classes=2,
    mean=[123.675, 116.28, 103.53],  # RGB; files are read as BGR
    std=[58.395, 57.12, 57.375],
    to_rgb=True,
)
bgr_mean = data_preprocessor['mean'][::-1]
train_pipeline = [
    dict(type='LoadPhoto'),
    dict(
        type='RandomResizedCrop',
        scale=size,
        crop_ratio_range=(0.25, 1.0),
        backend='pillow',
        interpolation='bicubic',
    ),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),  # prob=0 for text and left/right
    dict(
        type='RandAugment',
        policies='timm_increasing',
        num_policies=2,
        total_level=10,
        magnitude_level=7,
        magnitude_std=0.5,
        hparams=dict(pad_val=[round(x) for x in bgr_mean], interpolation='bicubic'),
    ),
    dict(type='PackInputs'),
]
test_pipeline = [
    dict(type='LoadPhoto'),
    dict(
        type='ResizeEdge',
        scale=size * 8 // 7,
        edge='short',
        backend='pillow',
        interpolation='bicubic',
    ),
    dict(type='CenterCrop', crop_size=size),
    dict(type='PackInputs'),
]
train_dataloader = dict(
    batch_size=64,
    num_workers=2,
    collate_fn=dict(type='stacked_collate'),
    dataset=dict(
        type='ImageFolder', data_root='data/photos', part='train', pipeline=train_pipeline
    ),
    sampler=dict(type='DefaultSampler', shuffle=True),
)
val_dataloader = dict(
    batch_size=64,
    num_workers=2,
    collate_fn=dict(type='stacked_collate'),
    dataset=dict(type='ImageFolder', data_root='data/photos', part='val', pipeline=test_pipeline),
    sampler=dict(type='DefaultSampler', shuffle=False),
)
val_evaluator = [dict(type='Accuracy', topk=(1,)), dict(type='ClassF1')]
test_dataloader = val_dataloader
test_evaluator = val_evaluator

optim_wrapper = dict(
    optimizer=dict(type='AdamW', lr=5e-4, weight_decay=0.05),
    paramwise_cfg=dict(norm_decay_mult=0.0, bias_decay_mult=0.0, flat_decay_mult=0.0),
    clip_grad=dict(max_norm=5.0),
)
param_scheduler = [
    dict(
        type='WarmupCosineLR',
        warmup=5,
        warmup_lr=1e-6,
        eta_min=1e-5,
        convert_to_iter_based=True,
    )
]
train_cfg = dict(by_epoch=True, max_epochs=100, val_interval=1)
val_cfg = dict()
test_cfg = dict()
auto_scale_lr = dict(base_batch_size=64)
# the result as a page that can be sent to a colleague
default_hooks = dict(report_page=dict(enable=True))

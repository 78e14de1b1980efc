# Your own photos from random weights: `vit-plugins train photos-scratch --data-root DIR`. A CvT
# whose tokens come from overlapping convolutions, at 64 px; colours are left as they are.
#
#   python tools/train.py configs/photos-scratch.py --data-root DIR
#   python tools/train.py configs/photos-scratch.py --data-root DIR --time-limit 20m --img-size 96
#
# Seen on TrashNet (2,022 photos, 505 others for validation) in 18 minutes on one thread of a busy
# CPU, 15 of 60 epochs planned: 65.7 %. Extra trees on colour histograms reach 81.8 % on the same
# photos, so give it more time. Not trained by us to the end.
_base_ = './convit_drloc_folder.py'

size = 64
model = dict(
    backbone=dict(
        _delete_=True,
        type='CvT',
        style='gap',
        arch=dict(embed_dims=(64, 128, 192), num_heads=(1, 2, 3), depths=(1, 2, 4)),
        patch_sizes=(7, 3, 3),
        strides=(4, 2, 2),
        paddings=(3, 1, 1),
        drop_path_rate=0.05,
    ),
    head=dict(
        _delete_=True,
        type='LinearClsHead',
        num_classes=2,  # set by --data-root
        in_channels=192,
        loss=dict(type='LabelSmoothLoss', label_smooth_val=0.1, mode='original'),
    ),
    train_cfg=dict(augments=[dict(type='Mixup', alpha=0.2)]),
)

# no RandAugment: it changes colours, which tell some classes apart
train_pipeline = [_base_.train_pipeline[i] for i in (0, 1, 2, 4)]
train_pipeline[1] = dict(_base_.train_pipeline[1], scale=size, crop_ratio_range=(0.35, 1.0))
test_pipeline = [*_base_.test_pipeline]
test_pipeline[1] = dict(_base_.test_pipeline[1], scale=size * 8 // 7)
test_pipeline[2] = dict(_base_.test_pipeline[2], crop_size=size)
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))

optim_wrapper = dict(optimizer=dict(lr=1e-3))

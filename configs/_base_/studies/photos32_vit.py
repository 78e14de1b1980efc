# What DRLoc's small study of fine-tuning starts from: the ViT of cifar10_small.py that has learnt
# to name 100 classes of photos, without the loss. Class folders come by --data-root (photos of 64
# px, resized to 32); a fifth of the images is for validation, by which nothing is chosen.
_base_ = './cifar10_small.py'

classes = 100
data_preprocessor = dict(
    num_classes=classes, mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375]
)
model = dict(head=dict(num_classes=classes))
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='SimpleRandomCrop', crop_size=32, padding=0),  # the middle of a square is all
    dict(type='PackInputs'),
]
train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='ImageFolder',
        data_root='data/photos64/train',
        pipeline=_base_.train_pipeline,
    )
)
val_dataloader = dict(
    dataset=dict(
        _delete_=True, type='ImageFolder', data_root='data/photos64/val', pipeline=test_pipeline
    )
)
test_dataloader = val_dataloader
param_scheduler = [
    dict(type='WarmupCosineLR', warmup=100, warmup_lr=1e-6, eta_min=1e-5, by_epoch=False)
]
train_cfg = dict(max_iters=1000, val_interval=500)
default_hooks = dict(checkpoint=dict(interval=500))

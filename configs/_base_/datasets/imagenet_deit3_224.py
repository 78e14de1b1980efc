# ImageNet-1k at 224 px as DeiT III trains from scratch: random resized crop, flip, 3-Augment, no
# erasing. Each image is used three times in an epoch (repeated augmentation), so that an epoch
# uses a third of the images, and no batch is smaller. Validation uses the whole short side.
_base_ = './imagenet_224.py'

size = 224
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='RandomResizedCrop', scale=size, backend='pillow', interpolation='bicubic'),
    # It also flips, which is faster than a RandomFlip before it.
    dict(type='ThreeAugment', color_jitter=0.3, flip_prob=0.5),
    dict(type='PackInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='ResizeEdge', scale=size, edge='short', backend='pillow', interpolation='bicubic'),
    dict(type='CenterCrop', crop_size=size),
    dict(type='PackInputs'),
]

train_dataloader = dict(dataset=dict(pipeline=train_pipeline), drop_last=True)
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))

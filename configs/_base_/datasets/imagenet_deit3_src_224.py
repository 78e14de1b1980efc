# ImageNet-1k at 224 px after ImageNet-21k: simple random crop, flip, 3-Augment, each image once
# per epoch.
_base_ = './imagenet_deit3_224.py'

train_pipeline = [*_base_.train_pipeline]
train_pipeline[1] = dict(type='SimpleRandomCrop', crop_size=_base_.size)
train_dataloader = dict(
    dataset=dict(pipeline=train_pipeline),
    sampler=dict(_delete_=True, type='DefaultSampler', shuffle=True),
)

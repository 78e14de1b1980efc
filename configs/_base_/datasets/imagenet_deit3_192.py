# ImageNet-1k at 192 px, for the training of B and L.
_base_ = './imagenet_deit3_224.py'

size = 192
train_pipeline = [*_base_.train_pipeline]
train_pipeline[1] = dict(train_pipeline[1], scale=size)
test_pipeline = [*_base_.test_pipeline]
test_pipeline[1] = dict(test_pipeline[1], scale=size)
test_pipeline[2] = dict(test_pipeline[2], crop_size=size)

train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))

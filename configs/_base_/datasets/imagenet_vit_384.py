# ImageNet-1k at 384 px, with the settings of imagenet_vit_224.py.
_base_ = './imagenet_vit_224.py'

train_pipeline = [*_base_.train_pipeline]
train_pipeline[1] = dict(train_pipeline[1], scale=384)
test_pipeline = [*_base_.test_pipeline]
test_pipeline[1] = dict(test_pipeline[1], scale=(384, 384))

train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader

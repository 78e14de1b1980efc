# ImageNet-100 at 224 px with the Swin augmentation, as the DRLoc paper trains all of its datasets.
# An epoch uses each image once. data/imagenet may contain all of ImageNet-1k.
_base_ = './imagenet_224.py'

data_preprocessor = dict(num_classes=100)
train_dataloader = dict(
    batch_size=128,
    collate_fn=dict(type='stacked_collate'),
    dataset=dict(type='ImageNet100'),
    sampler=dict(_delete_=True, type='DefaultSampler', shuffle=True),
)
val_dataloader = dict(batch_size=128, dataset=dict(type='ImageNet100'))
test_dataloader = val_dataloader

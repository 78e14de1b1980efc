# DomainNet clipart at 224 px with the Swin augmentation and the official lists: 33,525 images for
# training, 14,604 for the test, 345 classes. The other five domains inherit from this file.
_base_ = './imagenet100_224.py'

data_preprocessor = dict(num_classes=345)
train_dataloader = dict(
    dataset=dict(type='DomainNet', data_root='data/domainnet', domain='clipart', split='train')
)
val_dataloader = dict(
    dataset=dict(type='DomainNet', data_root='data/domainnet', domain='clipart', split='test')
)
test_dataloader = val_dataloader

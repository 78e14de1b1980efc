# CIFAR-10 enlarged to 384 px. The host's CIFAR10 downloads the data and returns RGB arrays.
_base_ = './imagenet_vit_384.py'

data_preprocessor = dict(num_classes=10, to_rgb=False)
train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='CIFAR10',
        data_root='data/cifar10',
        split='train',
        pipeline=[*_base_.train_pipeline[1:]],
    ),
)
val_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='CIFAR10',
        data_root='data/cifar10',
        split='test',
        pipeline=[*_base_.test_pipeline[1:]],
    ),
)
test_dataloader = val_dataloader

# CIFAR-10 enlarged to 224 px with the augmentation of DeiT III's fine-tuning. The host's CIFAR10
# downloads the data and returns RGB arrays, hence to_rgb=False and RGB fill colours.
_base_ = './imagenet_deit3_ft_224.py'

data_preprocessor = dict(num_classes=10, to_rgb=False)
train_pipeline = [*_base_.train_pipeline[1:]]
train_pipeline[2] = dict(
    train_pipeline[2],
    hparams=dict(
        pad_val=[round(x) for x in _base_.data_preprocessor['mean']], interpolation='bicubic'
    ),
)
test_pipeline = [*_base_.test_pipeline[1:]]

train_dataloader = dict(
    batch_size=96,
    drop_last=False,
    dataset=dict(
        _delete_=True,
        type='CIFAR10',
        data_root='data/cifar10',
        split='train',
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='CIFAR10',
        data_root='data/cifar10',
        split='test',
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader

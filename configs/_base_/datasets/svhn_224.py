# SVHN, with the settings of cifar100_224.py: 73,257 digits for training, 26,032 for the test; its
# arrays are RGB, too. The DRLoc paper also flips digits: it uses one augmentation for all
# datasets.
_base_ = './cifar100_224.py'

data_preprocessor = dict(num_classes=10)
train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='SVHN',
        data_root='data/svhn',
        split='train',
        pipeline=_base_.train_pipeline,
    ),
)
val_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='SVHN',
        data_root='data/svhn',
        split='test',
        pipeline=_base_.test_pipeline,
    ),
)
test_dataloader = val_dataloader

# The same of SVHN: 73,257 digits to train, 26,032 to test; arrays in RGB, too. The DRLoc paper
# flips digits as all else: its augmentation is one for all data sets.
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

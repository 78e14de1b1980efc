# Oxford Flowers-102 at 384 px: trained on train and val (2,040 images), tested on test (6,149).
# data/flowers102 contains jpg/, imagelabels.mat and setid.mat.
_base_ = './imagenet_vit_384.py'

data_preprocessor = dict(num_classes=102)
train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='Flowers102',
        data_root='data/flowers102',
        split='trainval',
        pipeline=_base_.train_pipeline,
    ),
)
val_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='Flowers102',
        data_root='data/flowers102',
        split='test',
        pipeline=_base_.test_pipeline,
    ),
)
test_dataloader = val_dataloader

# ImageNet-21k at 224 px, validated on ImageNet-1k. imagenet21k_deit3_224.py describes the folders,
# the lists and how to make them. Google's released heads have 21,843 classes; no list of folders
# here gives this number.
_base_ = './imagenet_vit_224.py'

data_preprocessor = dict(num_classes=21841)
train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='ImageNet21k',
        data_root='data/imagenet21k',
        ann_file='meta/train.txt',
        pipeline=_base_.train_pipeline,
    ),
)
val_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='ImageNet21k',
        ann_file='data/imagenet21k/meta/imagenet1k_val.txt',
        data_prefix='data/imagenet/val',
        pipeline=_base_.test_pipeline,
    ),
)
test_dataloader = val_dataloader

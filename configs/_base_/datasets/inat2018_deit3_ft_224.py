# iNaturalist 2018 at 224 px with the augmentation of DeiT III's fine-tuning, read from class
# folders: data/inat2018/{train,val}/CLASS/*.jpg with 8,142 classes. The competition's JSON files
# contain the class of each image (`category_id`).
_base_ = './imagenet_deit3_ft_224.py'

data_preprocessor = dict(num_classes=8142)
train_dataloader = dict(
    batch_size=96,
    drop_last=False,
    dataset=dict(
        _delete_=True,
        type='ImageFolder',
        data_root='data/inat2018',
        data_prefix='train',
        pipeline=_base_.train_pipeline,
    ),
)
val_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='ImageFolder',
        data_root='data/inat2018',
        data_prefix='val',
        pipeline=_base_.test_pipeline,
    ),
)
test_dataloader = val_dataloader

# Stanford Cars at 224 px with the augmentation of DeiT III's fine-tuning. data/stanford_cars
# contains car_ims/ and cars_annos.mat, or cars_train/, cars_test/ and devkit/.
_base_ = './imagenet_deit3_ft_224.py'

data_preprocessor = dict(num_classes=196)
train_dataloader = dict(
    batch_size=96,
    drop_last=False,
    dataset=dict(
        _delete_=True,
        type='StanfordCars',
        data_root='data/stanford_cars',
        split='train',
        pipeline=_base_.train_pipeline,
    ),
)
val_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='StanfordCars',
        data_root='data/stanford_cars',
        split='test',
        pipeline=_base_.test_pipeline,
    ),
)
test_dataloader = val_dataloader

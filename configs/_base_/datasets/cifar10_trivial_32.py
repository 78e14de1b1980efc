# CIFAR-10 at its own 32 px, as cifar10_32.py, with the augmentation of configs/small_data: a crop
# of the image that reflection has made 4 px larger on each side, a flip, and TrivialAugment (arXiv
# 2103.10158): one operation, of uniform strength, drawn for each image from RandAugment's space.
# The host's RandAugment with one policy is that.
_base_ = './cifar10_32.py'

fill = [round(x) for x in _base_.rgb_mean]
operations = [
    dict(type='AutoContrast', prob=0.0),  # the identity
    dict(type='AutoContrast', prob=1.0),
    dict(type='Equalize', prob=1.0),
    dict(type='Rotate', prob=1.0, magnitude_range=(0, 30)),
    dict(type='Solarize', prob=1.0, magnitude_range=(256, 0)),
    dict(type='ColorTransform', prob=1.0, magnitude_range=(0, 0.9)),
    dict(type='Posterize', prob=1.0, magnitude_range=(8, 4)),
    dict(type='Contrast', prob=1.0, magnitude_range=(0, 0.9)),
    dict(type='Brightness', prob=1.0, magnitude_range=(0, 0.9)),
    dict(type='Sharpness', prob=1.0, magnitude_range=(0, 0.9)),
    dict(type='Shear', prob=1.0, magnitude_range=(0, 0.3), direction='horizontal'),
    dict(type='Shear', prob=1.0, magnitude_range=(0, 0.3), direction='vertical'),
    dict(type='Translate', prob=1.0, magnitude_range=(0, 10 / 32), direction='horizontal'),
    dict(type='Translate', prob=1.0, magnitude_range=(0, 10 / 32), direction='vertical'),
]
train_pipeline = [
    dict(type='SimpleRandomCrop', crop_size=32),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(
        type='RandAugment',
        policies=operations,
        num_policies=1,
        total_level=30,
        magnitude_level=30,
        magnitude_std='inf',  # uniform between 0 and the level
        hparams=dict(pad_val=fill, interpolation='bilinear'),
    ),
    dict(type='PackInputs'),
]
train_dataloader = dict(batch_size=512, num_workers=4, dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(batch_size=1000, num_workers=2)
test_dataloader = dict(batch_size=1000, num_workers=2)

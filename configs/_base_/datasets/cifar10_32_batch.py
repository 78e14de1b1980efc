# CIFAR-10 at its own 32 px, augmented as a batch: the images are decoded once and stay in memory
# as uint8 (154 MB). They are cropped, flipped and erased on the model's device, with random
# parameters of its own for each image. It replaces cifar10_32.py, whose crop pads with black; the
# crop here pads by reflection.
_base_ = './cifar10_32.py'

data_preprocessor = dict(
    batch_transforms=[
        dict(type='BatchSimpleRandomCrop', crop_size=32, padding=4, flip_prob=0.5),
        dict(
            type='BatchRandAugment',
            policies='timm_increasing',
            num_policies=2,
            total_level=10,
            magnitude_level=9,
            magnitude_std=0.5,
            hparams=_base_.train_pipeline[2]['hparams'],
            channel_order='rgb',
        ),
        dict(
            type='BatchRandomErasing',
            erase_prob=0.25,
            mode='rand',
            min_area_ratio=0.02,
            max_area_ratio=1 / 3,
            fill_color=_base_.rgb_mean,
            fill_std=_base_.rgb_std,
        ),
    ]
)
train_dataloader = dict(
    num_workers=0,  # a batch is one index operation in memory
    persistent_workers=False,
    dataset=dict(
        _delete_=True,
        type='CachedImages',
        dataset=dict(
            type='CIFAR10',
            data_root='data/cifar10',
            split='train',
            pipeline=[dict(type='PackInputs')],
        ),
    ),
)

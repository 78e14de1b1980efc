# CIFAR-10 at its own 32 px, kept in memory and augmented as a batch on the model's device: a crop
# after a reflection of 4 px on each side, a flip, and TrivialAugment (arXiv 2103.10158), which
# applies one operation of uniform strength to each image. Shifts are at most 10 px, because the
# paper's 32 px would leave nothing of an image of 32 px.
_base_ = './cifar10_32_batch.py'

data_preprocessor = dict(
    batch_transforms=[
        dict(type='BatchSimpleRandomCrop', crop_size=32, padding=4, flip_prob=0.5),
        dict(
            type='BatchTrivialAugment',
            pad_val=[round(x) for x in _base_.rgb_mean],
            interpolation='bilinear',
            max_translate=10,
            channel_order='rgb',
        ),
    ]
)
train_dataloader = dict(batch_size=512)
val_dataloader = dict(batch_size=1000, num_workers=2)
test_dataloader = dict(batch_size=1000, num_workers=2)

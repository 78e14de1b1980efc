# ImageNet-1k at 224 px as DeiT III fine-tunes: RandAugment m9-mstd0.5-inc1 instead of 3-Augment,
# each image once per epoch.
_base_ = './imagenet_deit3_224.py'

train_pipeline = [
    *_base_.train_pipeline[:2],
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(
        type='RandAugment',
        policies='timm_increasing',
        num_policies=2,
        total_level=10,
        magnitude_level=9,
        magnitude_std=0.5,
        hparams=dict(pad_val=[round(x) for x in _base_.bgr_mean], interpolation='bicubic'),
    ),
    dict(type='PackInputs'),
]
train_dataloader = dict(
    batch_size=64,
    collate_fn=dict(type='stacked_collate'),
    dataset=dict(pipeline=train_pipeline),
    sampler=dict(_delete_=True, type='DefaultSampler', shuffle=True),
)

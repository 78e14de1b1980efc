# scikit-learn's handwritten digits, enlarged from 8 to 16 px, so that a rotation or a shift by
# less than one of their pixels changes the image.
data_preprocessor = dict(
    type='StackedDataPreprocessor',
    num_classes=10,
    mean=[127.5, 127.5, 127.5],
    std=[127.5, 127.5, 127.5],
    to_rgb=False,  # three equal channels
)

train_pipeline = [
    dict(type='Resize', scale=(16, 16), interpolation='bicubic'),
    dict(type='NumpyToPIL'),
    dict(
        type='torchvision/RandomAffine',
        degrees=12,
        translate=(0.08, 0.08),
        scale=(0.88, 1.12),
        shear=8,
        interpolation='bilinear',
    ),
    dict(type='PILToNumpy'),
    dict(type='PackInputs'),
]
test_pipeline = [
    dict(type='Resize', scale=(16, 16), interpolation='bicubic'),
    dict(type='PackInputs'),
]

train_dataloader = dict(
    batch_size=64,
    num_workers=1,
    persistent_workers=True,
    collate_fn=dict(type='stacked_collate'),
    dataset=dict(type='Digits', split='trainval', pipeline=train_pipeline),
    sampler=dict(type='DefaultSampler', shuffle=True),
)
val_dataloader = dict(
    batch_size=359,
    num_workers=0,
    collate_fn=dict(type='stacked_collate'),
    dataset=dict(type='Digits', split='test', pipeline=test_pipeline),
    sampler=dict(type='DefaultSampler', shuffle=False),
)
val_evaluator = dict(type='Accuracy', topk=(1,))
test_dataloader = val_dataloader
test_evaluator = val_evaluator

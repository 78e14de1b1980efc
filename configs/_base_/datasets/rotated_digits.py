# scikit-learn's handwritten digits at four angles, enlarged from 8 to 16 px. The test uses classes
# (and images) that are not in the training.
data_preprocessor = dict(
    type='StackedDataPreprocessor',
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
    dataset=dict(type='RotatedDigits', split='trainval', pipeline=train_pipeline),
    sampler=dict(type='MPerClassSampler', batch_size=64, samples_per_class=4),
)
val_dataloader = dict(
    batch_size=128,
    num_workers=0,
    collate_fn=dict(type='stacked_collate'),
    dataset=dict(type='RotatedDigits', split='test', pipeline=test_pipeline),
    sampler=dict(type='DefaultSampler', shuffle=False),
)
val_evaluator = dict(type='RetrievalMetric', topk=(1, 2, 4, 8))
test_dataloader = val_dataloader
test_evaluator = val_evaluator

# CUB-200-2011, split by class, as IRT trains with it: batches of 64 shuffled images (the paper
# does not say how they are sampled). Images are resized to a square of 256 px, then cropped to 224
# px: at random in training, in the middle in the test (the paper describes training only). The
# bicubic resize and the mean and standard deviation of ImageNet are not in the paper.
data_preprocessor = dict(
    type='StackedDataPreprocessor',
    mean=[123.675, 116.28, 103.53],  # RGB
    std=[58.395, 57.12, 57.375],
    to_rgb=True,
)

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(256, 256), backend='pillow', interpolation='bicubic'),
    dict(type='RandomCrop', crop_size=224),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='PackInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(256, 256), backend='pillow', interpolation='bicubic'),
    dict(type='CenterCrop', crop_size=224),
    dict(
        type='PackInputs', meta_keys=('sample_idx', 'img_path', 'ori_shape', 'img_shape', 'role')
    ),
]

train_dataloader = dict(
    batch_size=64,
    num_workers=8,
    collate_fn=dict(type='stacked_collate'),
    dataset=dict(
        type='CUBRetrieval', data_root='data/CUB_200_2011', split='train', pipeline=train_pipeline
    ),
    sampler=dict(type='InfiniteSampler', shuffle=True),
)
val_dataloader = dict(
    batch_size=128,
    num_workers=8,
    collate_fn=dict(type='stacked_collate'),
    dataset=dict(
        type='CUBRetrieval', data_root='data/CUB_200_2011', split='test', pipeline=test_pipeline
    ),
    sampler=dict(type='DefaultSampler', shuffle=False),
)
val_evaluator = dict(type='RetrievalMetric', topk=(1, 2, 4, 8))
test_dataloader = val_dataloader
test_evaluator = val_evaluator

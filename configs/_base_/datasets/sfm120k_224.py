# Training on SfM-120k, test on Revisited Oxford (or Paris). Tuples, pool and their numbers are
# those of cnnimageretrieval-pytorch, which is the basis of IRT. IRT resizes all images to one
# square. Neither uses augmentation. The validation on the 3D models of the val split is our
# choice.
data_preprocessor = dict(
    type='StackedDataPreprocessor',
    mean=[123.675, 116.28, 103.53],  # RGB
    std=[58.395, 57.12, 57.375],
    to_rgb=True,
)

# A query is first cropped to its box; other images have no box.
pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='CropToBox'),
    dict(type='Resize', scale=(224, 224), backend='pillow', interpolation='bicubic'),
    dict(type='PackInputs', meta_keys=('sample_idx', 'img_path', 'role', 'image_idx')),
]

train_dataloader = dict(
    batch_size=35,  # 5 tuples of a query, a positive and 5 negatives
    num_workers=8,
    collate_fn=dict(type='stacked_collate'),
    dataset=dict(type='SfM120k', data_root='data/cirtorch', split='train', pipeline=pipeline),
    sampler=dict(type='TupleSampler', num_pairs=2000, pool_size=22000, num_negatives=5),
)
custom_hooks = [
    dict(type='HardNegativeMiningHook', pipeline=pipeline, batch_size=128, num_workers=8)
]
val_dataloader = dict(
    batch_size=128,
    num_workers=8,
    collate_fn=dict(type='stacked_collate'),
    dataset=dict(type='SfM120k', data_root='data/cirtorch', split='val', pipeline=pipeline),
    sampler=dict(type='DefaultSampler', shuffle=False),
)
val_evaluator = dict(type='RetrievalMetric', topk=(1, 10, 100))
test_dataloader = dict(
    batch_size=128,
    num_workers=8,
    collate_fn=dict(type='stacked_collate'),
    dataset=dict(
        type='RevisitedOxfordParis',
        data_root='data/cirtorch',
        name='roxford5k',
        pipeline=pipeline,
    ),
    sampler=dict(type='DefaultSampler', shuffle=False),
)
test_evaluator = dict(type='RevisitedRetrievalMetric')

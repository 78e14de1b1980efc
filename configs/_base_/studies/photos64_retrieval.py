# What the retrieval studies share: photos of 64 px, 100 classes to train with and 50 others to
# test with. A small ViT that has learnt to name the training classes (photos64_classifier.py)
# goes on for 200 iterations, with the published loss, memory of all training images and optimizer.
#
# --data-root DIR: DIR/train and DIR/test hold class folders.
_base_ = ['../default_runtime.py']

size = 48
dims = 192
data_preprocessor = dict(
    type='StackedDataPreprocessor',
    mean=[123.675, 116.28, 103.53],  # RGB
    std=[58.395, 57.12, 57.375],
    to_rgb=True,
)
model = dict(
    type='EmbeddingRetriever',
    backbone=dict(
        type='DeiT3ViT',
        arch=dict(embed_dims=dims, num_layers=3, num_heads=3, feedforward_channels=768),
        img_size=size,
        patch_size=8,
        layer_scale_init_value=0.0,
        out_type='raw',
    ),
    neck=dict(type='TokenPooling', mode='cls'),
    head=dict(
        type='ContrastiveRetrievalHead',
        loss=dict(type='ContrastiveLoss', margin=0.5),
        memory=dict(type='CrossBatchMemory', size=10_000),
        koleo=dict(type='KoLeoLoss', loss_weight=0.7),
    ),
)

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(54, 54), backend='pillow', interpolation='bicubic'),
    dict(type='RandomCrop', crop_size=size),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='PackInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(54, 54), backend='pillow', interpolation='bicubic'),
    dict(type='CenterCrop', crop_size=size),
    dict(type='PackInputs'),
]
train_dataloader = dict(
    batch_size=64,
    num_workers=0,
    collate_fn=dict(type='stacked_collate'),
    dataset=dict(
        type='RetrievalFolder',
        data_root='data/photos64',
        split='trainval',
        pipeline=train_pipeline,
    ),
    sampler=dict(type='MPerClassSampler', batch_size=64, samples_per_class=2, infinite=True),
)
val_dataloader = dict(
    batch_size=250,
    num_workers=0,
    collate_fn=dict(type='stacked_collate'),
    dataset=dict(
        type='RetrievalFolder', data_root='data/photos64', split='val', pipeline=test_pipeline
    ),
    sampler=dict(type='DefaultSampler', shuffle=False),
)
test_dataloader = dict(
    batch_size=250,
    num_workers=0,
    collate_fn=dict(type='stacked_collate'),
    dataset=dict(
        type='RetrievalFolder', data_root='data/photos64', split='test', pipeline=test_pipeline
    ),
    sampler=dict(type='DefaultSampler', shuffle=False),
)
val_evaluator = test_evaluator = dict(
    type='RetrievalMetric', topk=(1, 2, 4, 8), items=('Recall', 'MAP@R')
)

load_from = 'work_dirs/photos64_classifier/epoch_10.pth'
optim_wrapper = dict(optimizer=dict(type='AdamW', lr=3e-5, weight_decay=5e-4))
train_cfg = dict(by_epoch=False, max_iters=200, val_interval=200)
val_cfg = dict()
test_cfg = dict()
default_hooks = dict(
    checkpoint=dict(by_epoch=False, interval=200, save_best=None, max_keep_ckpts=2),
    logger=dict(interval=50, log_metric_by_epoch=False),
)
log_processor = dict(by_epoch=False)

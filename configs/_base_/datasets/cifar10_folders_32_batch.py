# CIFAR-10 at its own 32 px as class folders of image files, data/cifar10/{train,test}/CLASS/*. The
# images are decoded once and stay in memory (184 MB). They are augmented as a batch: cropped,
# flipped and changed by one operation of TrivialAugment each (arXiv 2103.10158). On a GPU, set
# device='cuda' in both datasets. Validation uses test/, so no setting may be chosen by it.
data_preprocessor = dict(
    type='StackedDataPreprocessor',
    num_classes=10,
    mean=[125.307, 122.961, 113.8575],  # RGB
    std=[51.5865, 50.847, 51.255],
    to_rgb=True,
    batch_transforms=[
        dict(type='BatchSimpleRandomCrop', crop_size=32, padding=4, flip_prob=0.5),
        dict(
            type='BatchTrivialAugment',
            pad_val=(114, 123, 125),  # BGR
            interpolation='bilinear',
            max_translate=10,
        ),
    ],
)
pipeline = [dict(type='LoadImageFromFile'), dict(type='PackInputs')]
train_dataloader = dict(
    batch_size=512,
    num_workers=0,  # a batch is one index operation in memory
    persistent_workers=False,
    collate_fn=dict(type='stacked_collate'),
    dataset=dict(
        type='CachedImages',
        device='cpu',
        dataset=dict(type='ImageFolder', data_root='data/cifar10/train', pipeline=pipeline),
    ),
    sampler=dict(type='DefaultSampler', shuffle=True),
)
val_dataloader = dict(
    batch_size=1000,
    num_workers=0,
    persistent_workers=False,
    collate_fn=dict(type='stacked_collate'),
    dataset=dict(
        type='CachedImages',
        device='cpu',
        dataset=dict(type='ImageFolder', data_root='data/cifar10/test', pipeline=pipeline),
    ),
    sampler=dict(type='DefaultSampler', shuffle=False),
)
val_evaluator = dict(type='Accuracy', topk=1)
test_dataloader = val_dataloader
test_evaluator = val_evaluator

# One of the nineteen tasks of VTAB-1k at 224 px. As in its papers, images are resized to a square
# and not augmented. The environment variable VTAB_TASK (VTAB_TASK=dtd for example) chooses the
# task and thus the classes. Training uses the 1,000 images of train800val200, the test uses test.
# To choose settings, set train_dataloader.dataset.split=train and
# test_dataloader.dataset.split=val (800 and 200 images).
task = '{{$VTAB_TASK:cifar}}'
vtab_classes = dict(
    cifar=100,
    caltech101=102,
    dtd=47,
    oxford_flowers102=102,
    oxford_iiit_pet=37,
    svhn=10,
    sun397=397,
    patch_camelyon=2,
    eurosat=10,
    resisc45=45,
    diabetic_retinopathy=5,
    clevr_count=8,
    clevr_dist=6,
    dmlab=6,
    kitti=4,
    dsprites_loc=16,
    dsprites_ori=16,
    smallnorb_azi=18,
    smallnorb_ele=9,
)
if task not in vtab_classes:
    raise ValueError(f'VTAB_TASK must be one of {", ".join(vtab_classes)}, got {task!r}')
num_classes = vtab_classes[task]
del vtab_classes
data_preprocessor = dict(
    num_classes=num_classes,
    mean=[123.675, 116.28, 103.53],  # RGB
    std=[58.395, 57.12, 57.375],
    to_rgb=True,
)

pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(224, 224), backend='pillow', interpolation='bicubic'),
    dict(type='PackInputs'),
]

train_dataloader = dict(
    batch_size=64,
    num_workers=4,
    collate_fn=dict(type='stacked_collate'),
    dataset=dict(
        type='VTAB1k', data_root='data/vtab-1k', task=task, split='trainval', pipeline=pipeline
    ),
    sampler=dict(type='DefaultSampler', shuffle=True),
)
val_dataloader = dict(
    batch_size=128,
    num_workers=4,
    collate_fn=dict(type='stacked_collate'),
    dataset=dict(
        type='VTAB1k', data_root='data/vtab-1k', task=task, split='test', pipeline=pipeline
    ),
    sampler=dict(type='DefaultSampler', shuffle=False),
)
val_evaluator = dict(type='Accuracy')
test_dataloader = val_dataloader
test_evaluator = val_evaluator

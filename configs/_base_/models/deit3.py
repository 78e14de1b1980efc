# ViT-S as DeiT III trains it from scratch: binary cross-entropy on every class that mixup or
# CutMix has brought into the image, drop path of one rate in all blocks. A recipe names the arch,
# the size, the head's width and the rate.
model = dict(
    type='ImageClassifier',
    backbone=dict(type='DeiT3ViT', arch='small', img_size=224, drop_path_rate=0.05),
    neck=None,
    head=dict(
        type='VisionTransformerBCEHead',
        num_classes=1000,
        in_channels=384,
        loss=dict(type='BinaryCrossEntropyLoss', target_threshold=0.0),
        init_cfg=dict(type='TruncNormal', layer='Linear', std=0.02),
    ),
    # One of the two for each batch, with equal probability; one lambda per batch.
    train_cfg=dict(augments=[dict(type='Mixup', alpha=0.8), dict(type='CutMix', alpha=1.0)]),
)

# ViT-S as DeiT III trains it from scratch: binary cross-entropy on every class that mixup or
# CutMix has put into the image, and one drop path rate for all blocks. A recipe sets the arch,
# the image size, the head's width and the drop path rate.
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
    # Each batch uses one of the two, with equal probability, and one lambda.
    train_cfg=dict(augments=[dict(type='Mixup', alpha=0.8), dict(type='CutMix', alpha=1.0)]),
)

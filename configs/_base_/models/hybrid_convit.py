# A residual stem from 32 to 8 px, then ConViT layers on the 8 x 8 cells. The head classifies the
# class token and the mean of the patches together. 7.3M parameters, 0.84 GMACs.
model = dict(
    type='ImageClassifier',
    backbone=dict(
        type='ConViT',
        arch=dict(embed_dims=320, num_layers=6, num_heads=4, feedforward_channels=960),
        img_size=32,
        patch_size=4,
        patch_cfg=dict(
            type='HybridPatchEmbed',
            stem=dict(type='ResidualConvStem', channels=(48, 96, 192)),
        ),
        num_local_layers=4,
        drop_path_rate=0.1,
        out_type='raw',
    ),
    neck=dict(type='TokenPooling', mode='cls_avg'),
    head=dict(
        type='LinearClsHead',
        num_classes=10,
        in_channels=640,
        loss=dict(type='LabelSmoothLoss', label_smooth_val=0.1, mode='original'),
        init_cfg=dict(type='TruncNormal', layer='Linear', std=0.02),
    ),
    train_cfg=dict(augments=[dict(type='Mixup', alpha=0.8), dict(type='CutMix', alpha=1.0)]),
)

# For the DRLoc loss: the neck moves into the head.
drloc = dict(
    neck=None,
    head=dict(
        type='DRLocHead', in_channels=320, patch_size=4, neck=model['neck'], loss_weight=0.1
    ),
)

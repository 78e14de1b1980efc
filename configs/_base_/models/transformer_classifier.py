# A classifier of 1,000 classes with the regularisation of the DeiT recipe: smoothed labels, mixup
# or CutMix, and weights that start from a truncated normal. The file of a network adds the
# backbone, the neck and the width of the head.
model = dict(
    type='ImageClassifier',
    head=dict(
        type='VisionTransformerClsHead',
        num_classes=1000,
        loss=dict(type='LabelSmoothLoss', label_smooth_val=0.1, mode='original'),
        init_cfg=dict(type='TruncNormal', layer='Linear', std=0.02),
    ),
    init_cfg=[
        dict(type='TruncNormal', layer='Linear', std=0.02),
        dict(type='Constant', layer='LayerNorm', val=1.0, bias=0.0),
    ],
    train_cfg=dict(augments=[dict(type='Mixup', alpha=0.8), dict(type='CutMix', alpha=1.0)]),
)

# CvT-13 of the DRLoc code: mean of the map instead of a class token, PyTorch's initialisation.
# Its norms over channels are decayed like weights, as their parameters have four axes there: the
# recipes say so to the optimizer.
model = dict(
    type='ImageClassifier',
    backbone=dict(type='CvT', arch='13', style='gap'),
    neck=None,
    head=dict(
        type='LinearClsHead',
        num_classes=1000,
        in_channels=384,
        loss=dict(type='LabelSmoothLoss', label_smooth_val=0.1, mode='original'),
        init_cfg=None,
    ),
    train_cfg=dict(augments=[dict(type='Mixup', alpha=0.8), dict(type='CutMix', alpha=1.0)]),
)

# CvT-13 of the DRLoc code: the mean of the map instead of a class token, and PyTorch's
# initialization. In that code, the parameters of its norms over channels have four axes, so they
# have weight decay like other weights. The recipes set this in the optimizer.
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

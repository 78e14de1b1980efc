# CvT-13 with the official regularisation; official weights load as they are.
model = dict(
    type='ImageClassifier',
    backbone=dict(type='CvT', arch='13', drop_path_rate=0.1),
    neck=None,
    head=dict(
        type='LinearClsHead',
        num_classes=1000,
        in_channels=384,
        loss=dict(type='LabelSmoothLoss', label_smooth_val=0.1, mode='original'),
        init_cfg=dict(type='TruncNormal', layer='Linear', std=0.02),
    ),
    train_cfg=dict(augments=[dict(type='Mixup', alpha=0.8), dict(type='CutMix', alpha=1.0)]),
)

# For configs/drloc: as in cvt_13_gap.py, with a class token. The weights are in the model zoo that
# https://github.com/microsoft/CvT links to, which has no address for a single file.
drloc = dict(
    backbone=dict(out_type='raw'),
    head=dict(
        type='DRLocHead',
        in_channels=384,
        num_extra_tokens=1,
        patch_size=16,
        loss_grid_size=(7, 7),
        loss_weight=0.1,
    ),
)
pretrained = dict(type='Pretrained', checkpoint='pretrained/CvT-13-224x224-IN-1k.pth')

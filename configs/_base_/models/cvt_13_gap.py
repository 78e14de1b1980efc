# CvT-13 of the DRLoc code: mean of the map instead of a class token, PyTorch's initialisation.
# Its norms over channels are decayed like weights, as their parameters have four axes there: the
# recipes give decayed_norms to the optimizer.
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

# For configs/drloc. The 14 x 14 tokens are averaged to the paper's 7 x 7 for this loss only; the
# released code does so with another kernel. Weights of this form were never published.
drloc = dict(
    backbone=dict(out_type='featmap'),
    head=dict(
        type='DRLocHead',
        in_channels=384,
        num_extra_tokens=0,
        cls_source='gap',
        loss_grid_size=(7, 7),
        loss_weight=0.1,
    ),
)
drloc_official = dict(preset='official', loss_grid_size=None, pool=(3, 2, 1))
decayed_norms = {
    name: dict(decay_mult=1.0) for name in ('.patch_embed.norm.', '.norm1.', '.norm2.')
}

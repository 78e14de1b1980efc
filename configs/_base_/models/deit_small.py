# DeiT-S without drop path, as the DRLoc code trains its ViT.
model = dict(
    type='ImageClassifier',
    backbone=dict(type='VisionTransformer', arch='deit-small', img_size=224, patch_size=16),
    neck=None,
    head=dict(
        type='VisionTransformerClsHead',
        num_classes=1000,
        in_channels=384,
        loss=dict(type='LabelSmoothLoss', label_smooth_val=0.1, mode='original'),
        init_cfg=dict(type='TruncNormal', layer='Linear', std=0.02),
    ),
    init_cfg=[
        dict(type='TruncNormal', layer='Linear', std=0.02),
        dict(type='Constant', layer='LayerNorm', val=1.0, bias=0.0),
    ],
    train_cfg=dict(augments=[dict(type='Mixup', alpha=0.8), dict(type='CutMix', alpha=1.0)]),
)

# For configs/drloc. The 14 x 14 tokens are averaged to the paper's 7 x 7 for this loss only; the
# released code leaves them to its ViT, and takes them from before the last norm.
# No weight of the loss is published for ViTs: that of the other nets with 14 x 14 tokens. The
# pre-trained weights are OpenMMLab's.
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
drloc_official = dict(preset='official', loss_grid_size=None, source='backbone.layers.11')
pretrained = dict(
    type='Pretrained',
    checkpoint='https://download.openmmlab.com/mmclassification/v0/deit/deit-small_pt-4xb256_in1k_20220218-9425b9bb.pth',
    prefix='backbone.',
)

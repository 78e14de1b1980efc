# T2T-ViT-14 as its authors and DRLoc train it: performer attention makes its tokens.
model = dict(
    type='ImageClassifier',
    backbone=dict(type='T2TViTPerformer', img_size=224, embed_dims=384, num_layers=14),
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
# released code does so with another kernel.
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
drloc_official = dict(preset='official', loss_grid_size=None, pool=(3, 2, 1))
# The authors' weights, which have names of their own:
#   https://github.com/yitu-opensource/T2T-ViT/releases/download/main/81.5_T2T_ViT_14.pth.tar
#   python tools/convert_checkpoint.py 81.5_T2T_ViT_14.pth.tar pretrained/t2t-vit-14.pth --arch t2t
pretrained = dict(type='Pretrained', checkpoint='pretrained/t2t-vit-14.pth', prefix='backbone.')

# T2T-ViT-14 as its authors and DRLoc train it: performer attention computes its tokens.
_base_ = './transformer_classifier.py'

model = dict(
    backbone=dict(type='T2TViTPerformer', img_size=224, embed_dims=384, num_layers=14),
    neck=None,
    head=dict(in_channels=384),
)

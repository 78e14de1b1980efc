# DeiT-S without drop path, as the DRLoc code trains its ViT.
_base_ = './transformer_classifier.py'

model = dict(
    backbone=dict(type='VisionTransformer', arch='deit-small', img_size=224, patch_size=16),
    neck=None,
    head=dict(in_channels=384),
)

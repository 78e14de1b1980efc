# ConViT with the regularisation of the DeiT recipe; a recipe sets the arch and the head's width.
_base_ = './transformer_classifier.py'

model = dict(
    backbone=dict(type='ConViT', arch='tiny', img_size=224, patch_size=16, drop_path_rate=0.1),
    neck=None,
    head=dict(in_channels=192),
)

# Swin-T with its drop path: the classifier reads the mean of the map.
_base_ = './transformer_classifier.py'

model = dict(
    backbone=dict(type='SwinTransformer', arch='tiny', img_size=224, drop_path_rate=0.2),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(type='LinearClsHead', in_channels=768),
)

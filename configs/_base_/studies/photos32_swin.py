# The Swin Transformer of the same study.
_base_ = './photos32_vit.py'

model = dict(
    backbone=dict(
        _delete_=True,
        type='SwinTransformer',
        arch=dict(embed_dims=24, depths=[2, 2], num_heads=[2, 4]),
        img_size=32,
        patch_size=2,
        window_size=4,
        drop_path_rate=0.0,
        out_indices=[1],
    ),
    neck=dict(_delete_=True, type='GlobalAveragePooling'),
    head=dict(
        _delete_=True,
        type='LinearClsHead',
        num_classes=_base_.classes,
        in_channels=48,
        loss=_base_.model.head.loss,
    ),
)

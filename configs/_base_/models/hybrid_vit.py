# R50+ViT-B/16 of the ViT paper as in its fine-tuning; dropout as in Google's code.
model = dict(
    type='ImageClassifier',
    backbone=dict(
        type='HybridViT',
        arch='base',
        stem='r50-s16',
        img_size=384,
        drop_rate=0.1,
        layer_cfgs=dict(act_cfg=dict(type='GELU', approximate='tanh')),
    ),
    neck=None,
    head=dict(
        type='VisionTransformerClsHead',
        num_classes=1000,
        in_channels=768,
        loss=dict(type='CrossEntropyLoss', loss_weight=1.0),
    ),
)

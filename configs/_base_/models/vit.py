# ViT-B/16 of the ViT paper as in its fine-tuning: one linear layer, initialized with zeros, on the
# class token. GELU is the tanh form of Google's code, so that Google's weights give the same
# outputs.
model = dict(
    type='ImageClassifier',
    backbone=dict(
        type='VisionTransformer',
        arch='base',
        img_size=384,
        patch_size=16,
        layer_cfgs=dict(act_cfg=dict(type='GELU', approximate='tanh')),
        init_cfg=[
            dict(type='Kaiming', layer='Conv2d', mode='fan_in', nonlinearity='linear'),
            dict(type='Xavier', layer='Linear', distribution='uniform'),
        ],
    ),
    neck=None,
    head=dict(
        type='VisionTransformerClsHead',
        num_classes=1000,
        in_channels=768,
        loss=dict(type='CrossEntropyLoss', loss_weight=1.0),
    ),
)

# CCT-6/3x1 (arXiv 2104.05704) for 32 px: one convolution and pooling to 16 x 16 tokens, six
# layers, a learnt mean of the tokens; 3.2M parameters, 1.01 GMACs. The layers normalise only
# before attention and FFN; the authors' code also normalises the stream between the two.
_base_ = './transformer_classifier.py'

model = dict(
    backbone=dict(
        type='PosEmbedViT',
        arch=dict(embed_dims=256, num_layers=6, num_heads=4, feedforward_channels=512),
        img_size=32,
        patch_size=2,
        patch_cfg=dict(type='ConvTokenizer'),
        with_cls_token=False,
        qkv_bias=False,
        drop_path_rate=0.1,
        layer_cfgs=dict(attn_drop_rate=0.1),
        out_type='raw',
    ),
    neck=dict(type='SequencePooling', in_channels=256),
    head=dict(type='LinearClsHead', num_classes=10, in_channels=256),
)

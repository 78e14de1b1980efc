# ViT-B/16 as the DRLoc code trains it: dropout in its layers, no bias for queries, keys and
# values, and norms with PyTorch's eps. It is initialized as the host's ViT. The released code uses
# PyTorch's initialization, with class token and position embedding of std 1.
_base_ = './deit_small.py'

model = dict(
    backbone=dict(
        arch='deit-base',
        qkv_bias=False,
        norm_cfg=dict(type='LN', eps=1e-5),
        layer_cfgs=dict(drop_rate=0.1),
    ),
    head=dict(in_channels=768),
)

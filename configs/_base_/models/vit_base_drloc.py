# ViT-B/16 as the DRLoc code trains it: dropout in its layers, queries, keys and values without
# bias, norms with PyTorch's eps. It starts as the host's ViT, the released one from PyTorch's
# initialisation with class token and position embedding of std 1.
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

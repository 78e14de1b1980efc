# ViT-B/16 as the DRLoc code trains it: dropout in its layers, queries, keys and values without
# bias, norms with PyTorch's eps. It starts as the host's ViT, the released one from PyTorch's
# initialisation with class token and position embedding of std 1. The pre-trained weights are
# DeiT-B's, by its authors, as OpenMMLab renamed them; they have that bias, and another eps.
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
drloc = dict(head=dict(in_channels=768))
pretrained = dict(
    checkpoint='https://download.openmmlab.com/mmclassification/v0/deit/deit-base_3rdparty_pt-16xb64_in1k_20211124-6f40c188.pth'
)
fine_tuned = dict(
    qkv_bias=True, norm_cfg=dict(eps=1e-6), init_cfg={**_base_.pretrained, **pretrained}
)

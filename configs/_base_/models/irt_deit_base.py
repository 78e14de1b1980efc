# IRT with DeiT-B, else as with DeiT-S.
_base_ = './irt_deit_small.py'

model = dict(
    backbone=dict(arch='deit-base'),
    init_cfg=dict(
        checkpoint='https://dl.fbaipublicfiles.com/deit/deit_base_patch16_224-b5f2ef4d.pth'
    ),
)

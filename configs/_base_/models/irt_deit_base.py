# IRT with DeiT-B; all other settings are those of irt_deit_small.py.
_base_ = './irt_deit_small.py'

model = dict(
    backbone=dict(arch='deit-base'),
    init_cfg=dict(
        checkpoint='https://dl.fbaipublicfiles.com/deit/deit_base_patch16_224-b5f2ef4d.pth'
    ),
)

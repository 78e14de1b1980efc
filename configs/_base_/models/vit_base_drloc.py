# ViT-B/16 with dropout in its layers, as the DRLoc code trains it. The pre-trained weights are
# DeiT-B's, by its authors, as OpenMMLab renamed them.
_base_ = './deit_small.py'

model = dict(
    backbone=dict(arch='deit-base', layer_cfgs=dict(drop_rate=0.1)), head=dict(in_channels=768)
)
drloc = dict(head=dict(in_channels=768))
pretrained = dict(
    checkpoint='https://download.openmmlab.com/mmclassification/v0/deit/deit-base_3rdparty_pt-16xb64_in1k_20211124-6f40c188.pth'
)

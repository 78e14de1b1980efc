# ConViT-S with the drop path of its authors.
_base_ = './convit.py'

model = dict(backbone=dict(arch='small'), head=dict(in_channels=432))

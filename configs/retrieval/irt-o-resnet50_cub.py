# IRT_O: ResNet-50 as published, evaluated on CUB-200-2011, split by class. Nothing is trained.
#
#   python tools/test.py configs/retrieval/irt-o-resnet50_cub.py WEIGHTS
#
# WEIGHTS: resnet50-0676ba61.pth, the address is in the config.
# The paper has no row for it. Not trained by us (no data).
_base_ = './irt-l-resnet50_1xb64-2k_cub.py'

model = dict(head=None)
train_dataloader = None
train_cfg = None
optim_wrapper = None

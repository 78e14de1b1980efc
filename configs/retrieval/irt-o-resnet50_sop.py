# IRT_O: ResNet-50 as published, evaluated on Stanford Online Products. Nothing is trained.
#
#   python tools/test.py configs/retrieval/irt-o-resnet50_sop.py WEIGHTS
#
# WEIGHTS: resnet50-0676ba61.pth, the address is in the config.
# The paper has no row for it. Not trained by us (no data).
_base_ = './irt-l-resnet50_1xb64-35k_sop.py'

model = dict(head=None)
train_dataloader = None
train_cfg = None
optim_wrapper = None

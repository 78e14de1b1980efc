# IRT_O: DeiT-B as published, evaluated on CUB-200-2011, split by class. Nothing is trained.
#
#   python tools/test.py configs/retrieval/irt-o-deit-base_cub.py WEIGHTS
#
# WEIGHTS: deit_base_patch16_224-b5f2ef4d.pth, the address is in the config.
# The paper has no row for it. Not trained by us (no data).
_base_ = './irt-l-deit-base_1xb64-2k_cub.py'

model = dict(head=None)
train_dataloader = None
train_cfg = None
optim_wrapper = None

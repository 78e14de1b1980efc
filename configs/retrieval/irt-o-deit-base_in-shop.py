# IRT_O: DeiT-B as published, evaluated on In-Shop. Nothing is trained.
#
#   python tools/test.py configs/retrieval/irt-o-deit-base_in-shop.py WEIGHTS
#
# WEIGHTS: deit_base_patch16_224-b5f2ef4d.pth, the address is in the config.
# The paper has no row for it. Not trained by us (no data).
_base_ = './irt-l-deit-base_1xb64-35k_in-shop.py'

model = dict(head=None, momentum_encoder=None)
train_dataloader = None
train_cfg = None
optim_wrapper = None

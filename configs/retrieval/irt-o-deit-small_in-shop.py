# IRT_O: DeiT-S as published, evaluated on In-Shop. Nothing is trained.
#
#   python tools/test.py configs/retrieval/irt-o-deit-small_in-shop.py WEIGHTS
#
# WEIGHTS: deit_small_patch16_224-cd65a155.pth, the address is in the config.
# The paper: Recall@1 31.3 %. Not trained by us (no data).
_base_ = './irt-l-deit-small_1xb64-35k_in-shop.py'

model = dict(head=None, momentum_encoder=None)
train_dataloader = None
train_cfg = None
optim_wrapper = None

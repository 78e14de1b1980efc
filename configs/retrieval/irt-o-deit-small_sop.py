# IRT_O: DeiT-S as published, evaluated on Stanford Online Products. Nothing is trained.
#
#   python tools/test.py configs/retrieval/irt-o-deit-small_sop.py WEIGHTS
#
# WEIGHTS: deit_small_patch16_224-cd65a155.pth, the address is in the config.
# The paper: Recall@1 52.8 %. Not trained by us (no data).
_base_ = './irt-l-deit-small_1xb64-35k_sop.py'

model = dict(head=None)
train_dataloader = None
train_cfg = None
optim_wrapper = None

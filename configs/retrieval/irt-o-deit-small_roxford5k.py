# IRT_O: DeiT-S as it comes, on Revisited Oxford at 224 px. Nothing is trained.
#
#   python tools/test.py configs/retrieval/irt-o-deit-small_roxford5k.py WEIGHTS
#
# WEIGHTS: deit_small_patch16_224-cd65a155.pth, the address is in the config. The paper, mAP Medium
# / Hard: Oxford 20.3 % / 5.6 %, Paris 50.2 % / 26.3 %. Not trained by us (no data).
_base_ = './irt-l-deit-small_1xb35-100e_sfm120k.py'

model = dict(head=None)
train_dataloader = None
train_cfg = None
optim_wrapper = None
param_scheduler = None
custom_hooks = []

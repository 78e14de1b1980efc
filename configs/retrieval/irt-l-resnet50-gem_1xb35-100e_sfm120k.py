# The convnet that IRT compares with: ResNet-50, pooled by GeM with a learnt power, on SfM-120k at
# 224 px; batch norms frozen, the power at ten times the learning rate and without decay, as in
# cnnimageretrieval-pytorch.
#
#   python tools/train.py configs/retrieval/irt-l-resnet50-gem_1xb35-100e_sfm120k.py
#
# The paper, mAP Medium / Hard: Oxford 28.7 % / 10.9 %, Paris 61.2 % / 35.9 %. Not trained by us
# (no data).
_base_ = './irt-l-deit-small_1xb35-100e_sfm120k.py'

model = dict(
    backbone=dict(_delete_=True, type='ResNet', depth=50, norm_eval=True),
    neck=dict(mode='gem', learn_p=True),
    init_cfg=dict(checkpoint='https://download.pytorch.org/models/resnet50-0676ba61.pth'),
)
optim_wrapper = dict(paramwise_cfg=dict(custom_keys={'neck.p': dict(lr_mult=10, decay_mult=0)}))

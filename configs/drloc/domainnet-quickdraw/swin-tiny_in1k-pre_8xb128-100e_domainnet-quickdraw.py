# Swin-T fine-tuned from ImageNet-1k on DomainNet quickdraw at 224 px, 100 epochs.
#
#   bash tools/dist_train.sh \
#     configs/drloc/domainnet-quickdraw/swin-tiny_in1k-pre_8xb128-100e_domainnet-quickdraw.py 8
#
# Published: 75.81 % top-1. Not trained by us (no GPU node).
_base_ = './swin-tiny_8xb128-100e_domainnet-quickdraw.py'

model = dict(backbone=dict(init_cfg=_base_.pretrained))

# Swin-T with the localization loss, fine-tuned from ImageNet-1k on DomainNet quickdraw.
#
#   bash tools/dist_train.sh \
#     configs/drloc/domainnet-quickdraw/swin-tiny-drloc_in1k-pre_8xb128-100e_domainnet-quickdraw.py 8
#
# Published: 76.01 % top-1. Not trained by us (no GPU node).
_base_ = './swin-tiny-drloc_8xb128-100e_domainnet-quickdraw.py'

model = dict(backbone=dict(init_cfg=_base_.pretrained))

# DeiT-S with the localization loss, fine-tuned from ImageNet-1k on DomainNet painting.
#
#   bash tools/dist_train.sh \
#     configs/drloc/domainnet-painting/deit-small-drloc_in1k-pre_8xb128-100e_domainnet-painting.py 8
#
# The paper has no number for it. Not trained by us (no GPU node).
_base_ = './deit-small-drloc_8xb128-100e_domainnet-painting.py'

model = dict(backbone=dict(init_cfg=_base_.pretrained))

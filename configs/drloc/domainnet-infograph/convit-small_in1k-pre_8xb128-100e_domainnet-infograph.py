# ConViT-S fine-tuned from ImageNet-1k on DomainNet infograph at 224 px, 100 epochs.
#
#   bash tools/dist_train.sh \
#     configs/drloc/domainnet-infograph/convit-small_in1k-pre_8xb128-100e_domainnet-infograph.py 8
#
# The paper has no number for it. Not trained by us (no GPU node).
_base_ = './convit-small_8xb128-100e_domainnet-infograph.py'

model = dict(backbone=dict(init_cfg=_base_.pretrained))

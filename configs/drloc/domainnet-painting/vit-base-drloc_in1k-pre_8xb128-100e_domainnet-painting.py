# ViT-B/16 with the localization loss, fine-tuned from ImageNet-1k on DomainNet painting.
#
#   bash tools/dist_train.sh \
#     configs/drloc/domainnet-painting/vit-base-drloc_in1k-pre_8xb128-100e_domainnet-painting.py 8
#
# The paper has no number for it. Not trained by us (no GPU node).
_base_ = './vit-base-drloc_8xb128-100e_domainnet-painting.py'

model = dict(backbone=_base_.fine_tuned)

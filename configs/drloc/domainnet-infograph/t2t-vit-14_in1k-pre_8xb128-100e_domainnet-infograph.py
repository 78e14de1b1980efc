# T2T-ViT-14 fine-tuned from ImageNet-1k on DomainNet infograph at 224 px, 100 epochs.
# Weights to fetch first: see configs/_base_/models/t2t_vit_14.py.
#
#   bash tools/dist_train.sh \
#     configs/drloc/domainnet-infograph/t2t-vit-14_in1k-pre_8xb128-100e_domainnet-infograph.py 8
#
# Published: 38.53 % top-1. Not trained by us (no GPU node).
_base_ = './t2t-vit-14_8xb128-100e_domainnet-infograph.py'

model = dict(backbone=dict(init_cfg=_base_.pretrained))

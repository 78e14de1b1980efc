# T2T-ViT-14 on DomainNet clipart with the localization loss as the released code computes it.
#
#   bash tools/dist_train.sh \
#     configs/drloc/domainnet-clipart/t2t-vit-14-drloc-official_8xb128-100e_domainnet-clipart.py 8
#
# Published: 52.36 % top-1, which preset is not said. Not trained by us (no GPU node).
_base_ = [
    './t2t-vit-14-drloc_8xb128-100e_domainnet-clipart.py',
    '../../_base_/schedules/loss_weight_300e_drloc.py',
]

model = dict(head=_base_.drloc_official)

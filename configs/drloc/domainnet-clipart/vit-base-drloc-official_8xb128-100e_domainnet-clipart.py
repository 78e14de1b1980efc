# ViT-B/16 on DomainNet clipart with the localization loss as the released code computes it.
#
#   bash tools/dist_train.sh \
#     configs/drloc/domainnet-clipart/vit-base-drloc-official_8xb128-100e_domainnet-clipart.py 8
#
# The paper has no number for it. Not trained by us (no GPU node).
_base_ = [
    './vit-base-drloc_8xb128-100e_domainnet-clipart.py',
    '../../_base_/schedules/loss_weight_300e_drloc.py',
]

model = dict(head=_base_.drloc_official)
custom_hooks = [*_base_.custom_hooks, dict(type='DRLocSourceHook')]

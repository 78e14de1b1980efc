# DeiT-S on DomainNet infograph with the localization loss as the released code computes it.
#
#   bash tools/dist_train.sh \
#     configs/drloc/domainnet-infograph/deit-small-drloc-official_8xb128-100e_domainnet-infograph.py 8
#
# The paper has no number for it. Not trained by us (no GPU node).
_base_ = [
    './deit-small-drloc_8xb128-100e_domainnet-infograph.py',
    '../../_base_/schedules/loss_weight_300e_drloc.py',
]

model = dict(head=_base_.drloc_official)
custom_hooks = [*_base_.custom_hooks, dict(type='DRLocSourceHook')]

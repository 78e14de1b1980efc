# Swin-T on DomainNet painting with the localization loss as the released code computes it.
#
#   bash tools/dist_train.sh \
#     configs/drloc/domainnet-painting/swin-tiny-drloc-official_8xb128-100e_domainnet-painting.py 8
#
# Published: 41.86 % top-1, which preset is not said. Not trained by us (no GPU node).
_base_ = [
    './swin-tiny-drloc_8xb128-100e_domainnet-painting.py',
    '../../_base_/schedules/loss_weight_300e_drloc.py',
]

model = dict(head=_base_.drloc_official)
custom_hooks = [*_base_.custom_hooks, dict(type='DRLocSourceHook')]

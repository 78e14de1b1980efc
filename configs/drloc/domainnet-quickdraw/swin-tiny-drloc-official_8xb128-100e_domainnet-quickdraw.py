# Swin-T on DomainNet quickdraw with the localization loss as the released code computes it.
#
#   bash tools/dist_train.sh \
#     configs/drloc/domainnet-quickdraw/swin-tiny-drloc-official_8xb128-100e_domainnet-quickdraw.py 8
#
# Published: 69.41 % top-1, which preset is not said. Not trained by us (no GPU node).
_base_ = [
    './swin-tiny-drloc_8xb128-100e_domainnet-quickdraw.py',
    '../../_base_/schedules/loss_weight_300e_drloc.py',
]

model = dict(head=_base_.drloc_official)
custom_hooks = [*_base_.custom_hooks, dict(type='DRLocSourceHook')]

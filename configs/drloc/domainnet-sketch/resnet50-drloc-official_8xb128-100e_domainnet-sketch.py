# ResNet-50 on DomainNet sketch with the localization loss as the released code computes it.
#
#   bash tools/dist_train.sh \
#     configs/drloc/domainnet-sketch/resnet50-drloc-official_8xb128-100e_domainnet-sketch.py 8
#
# The paper's number is not at hand. Not trained by us (no GPU node).
_base_ = [
    './resnet50-drloc_8xb128-100e_domainnet-sketch.py',
    '../../_base_/schedules/loss_weight_300e_drloc.py',
]

model = dict(head=_base_.drloc_official)

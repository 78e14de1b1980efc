# CvT-13 on CIFAR-100 with the localization loss as the released code computes it.
#
#   bash tools/dist_train.sh configs/drloc/cifar100/cvt-13-drloc-official_8xb128-100e_cifar100.py 8
#
# Published: 74.51 % top-1, which preset is not said. Not trained by us (no GPU node).
_base_ = [
    './cvt-13-drloc_8xb128-100e_cifar100.py',
    '../../_base_/schedules/loss_weight_300e_drloc.py',
]

model = dict(head=_base_.drloc_official)

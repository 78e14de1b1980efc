# CvT-13 from scratch on Flowers-102 at 224 px, 100 epochs: the baseline of DRLoc.
#
#   bash tools/dist_train.sh configs/drloc/flowers102/cvt-13_8xb128-100e_flowers102.py 8
#
# Published: 54.29 % top-1. Not trained by us (no GPU node).
_base_ = [
    '../../_base_/models/cvt_13_gap.py',
    '../../_base_/datasets/flowers102_224.py',
    '../../_base_/schedules/adamw_100e_drloc.py',
    '../../_base_/default_runtime.py',
]

model = dict(head=dict(num_classes=102))
optim_wrapper = dict(paramwise_cfg=dict(custom_keys=_base_.decayed_norms))

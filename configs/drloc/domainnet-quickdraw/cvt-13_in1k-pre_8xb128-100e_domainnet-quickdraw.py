# CvT-13 fine-tuned from ImageNet-1k on DomainNet quickdraw at 224 px, 100 epochs.
# Weights to fetch first: see configs/_base_/models/cvt_13.py.
#
#   bash tools/dist_train.sh \
#     configs/drloc/domainnet-quickdraw/cvt-13_in1k-pre_8xb128-100e_domainnet-quickdraw.py 8
#
# The paper has no number for it. Not trained by us (no GPU node).
_base_ = [
    '../../_base_/models/cvt_13.py',
    '../../_base_/datasets/domainnet_quickdraw_224.py',
    '../../_base_/schedules/adamw_100e_drloc.py',
    '../../_base_/default_runtime.py',
]

model = dict(backbone=dict(init_cfg=_base_.pretrained), head=dict(num_classes=345))

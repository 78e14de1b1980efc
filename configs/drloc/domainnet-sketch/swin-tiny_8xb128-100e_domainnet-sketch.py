# Swin-T from scratch on DomainNet sketch at 224 px, 100 epochs: the baseline of DRLoc.
#
#   bash tools/dist_train.sh \
#     configs/drloc/domainnet-sketch/swin-tiny_8xb128-100e_domainnet-sketch.py 8
#
# Published: 11.97 % top-1. Not trained by us (no GPU node).
_base_ = [
    '../../_base_/models/swin_tiny.py',
    '../../_base_/datasets/domainnet_sketch_224.py',
    '../../_base_/schedules/adamw_100e_drloc.py',
    '../../_base_/default_runtime.py',
]

model = dict(head=dict(num_classes=345))

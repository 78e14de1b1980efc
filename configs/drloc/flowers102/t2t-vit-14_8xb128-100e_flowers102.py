# T2T-ViT-14 from scratch on Flowers-102 at 224 px, 100 epochs: the baseline of DRLoc.
#
#   bash tools/dist_train.sh configs/drloc/flowers102/t2t-vit-14_8xb128-100e_flowers102.py 8
#
# Published: 31.73 % top-1. Not trained by us (no GPU node).
_base_ = [
    '../../_base_/models/t2t_vit_14.py',
    '../../_base_/datasets/flowers102_224.py',
    '../../_base_/schedules/adamw_100e_drloc.py',
    '../../_base_/default_runtime.py',
]

model = dict(head=dict(num_classes=102))

# T2T-ViT-14 on Flowers-102 with the localization loss as the released code computes it.
#
#   bash tools/dist_train.sh \
#     configs/drloc/flowers102/t2t-vit-14-drloc-official_8xb128-100e_flowers102.py 8
#
# Published: 34.35 % top-1, which preset is not said. Not trained by us (no GPU node).
_base_ = [
    './t2t-vit-14-drloc_8xb128-100e_flowers102.py',
    '../../_base_/schedules/loss_weight_300e_drloc.py',
]

model = dict(head=_base_.drloc_official)

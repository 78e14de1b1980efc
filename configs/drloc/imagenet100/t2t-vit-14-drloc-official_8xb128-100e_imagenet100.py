# T2T-ViT-14 on ImageNet-100 with the localization loss as the released code computes it.
#
#   bash tools/dist_train.sh \
#     configs/drloc/imagenet100/t2t-vit-14-drloc-official_8xb128-100e_imagenet100.py 8
#
# Published: 83.90 % top-1, which preset is not said. Not trained by us (no GPU node).
_base_ = [
    './t2t-vit-14-drloc_8xb128-100e_imagenet100.py',
    '../../_base_/schedules/loss_weight_300e_drloc.py',
]

model = dict(head=_base_.drloc_official)

# ViT-B/16 with the localization loss, fine-tuned from ImageNet-1k on ImageNet-100.
#
#   bash tools/dist_train.sh \
#     configs/drloc/imagenet100/vit-base-drloc_in1k-pre_8xb128-100e_imagenet100.py 8
#
# The paper has no such row: the weights have seen these images with their labels.
# Not trained by us (no GPU node).
_base_ = './vit-base-drloc_8xb128-100e_imagenet100.py'

model = dict(backbone=_base_.fine_tuned)

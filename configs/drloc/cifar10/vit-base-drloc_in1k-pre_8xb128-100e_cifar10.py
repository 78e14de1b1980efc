# ViT-B/16 with the localization loss, fine-tuned from ImageNet-1k on CIFAR-10.
#
#   bash tools/dist_train.sh configs/drloc/cifar10/vit-base-drloc_in1k-pre_8xb128-100e_cifar10.py 8
#
# The paper has no number for it. Not trained by us (no GPU node).
_base_ = './vit-base-drloc_8xb128-100e_cifar10.py'

model = dict(backbone=_base_.fine_tuned)

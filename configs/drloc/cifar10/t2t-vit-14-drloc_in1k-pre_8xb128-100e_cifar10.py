# T2T-ViT-14 with the localization loss, fine-tuned from ImageNet-1k on CIFAR-10.
# Weights to fetch first: see configs/_base_/models/t2t_vit_14.py.
#
#   bash tools/dist_train.sh \
#     configs/drloc/cifar10/t2t-vit-14-drloc_in1k-pre_8xb128-100e_cifar10.py 8
#
# Published: 98.52 % top-1. Not trained by us (no GPU node).
_base_ = './t2t-vit-14-drloc_8xb128-100e_cifar10.py'

model = dict(backbone=dict(init_cfg=_base_.pretrained))

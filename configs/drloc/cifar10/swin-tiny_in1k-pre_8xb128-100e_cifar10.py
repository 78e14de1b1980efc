# Swin-T fine-tuned from ImageNet-1k on CIFAR-10 at 224 px, 100 epochs.
#
#   bash tools/dist_train.sh configs/drloc/cifar10/swin-tiny_in1k-pre_8xb128-100e_cifar10.py 8
#
# Published: 97.95 % top-1. Not trained by us (no GPU node).
_base_ = './swin-tiny_8xb128-100e_cifar10.py'

model = dict(backbone=dict(init_cfg=_base_.pretrained))

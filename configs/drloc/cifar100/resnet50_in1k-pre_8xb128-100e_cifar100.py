# ResNet-50 fine-tuned from ImageNet-1k on CIFAR-100 at 224 px, 100 epochs.
#
#   bash tools/dist_train.sh configs/drloc/cifar100/resnet50_in1k-pre_8xb128-100e_cifar100.py 8
#
# The paper has no number for it. Not trained by us (no GPU node).
_base_ = './resnet50_8xb128-100e_cifar100.py'

model = dict(backbone=dict(init_cfg=_base_.pretrained))

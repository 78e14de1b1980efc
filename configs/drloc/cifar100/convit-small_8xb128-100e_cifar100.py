# ConViT-S from scratch on CIFAR-100 at 224 px, 100 epochs: the baseline of DRLoc.
#
#   bash tools/dist_train.sh configs/drloc/cifar100/convit-small_8xb128-100e_cifar100.py 8
#
# The paper has no number for it. Not trained by us (no GPU node).
_base_ = [
    '../../_base_/models/convit_small.py',
    '../../_base_/datasets/cifar100_224.py',
    '../../_base_/schedules/adamw_100e_drloc.py',
    '../../_base_/default_runtime.py',
]

model = dict(head=dict(num_classes=100))

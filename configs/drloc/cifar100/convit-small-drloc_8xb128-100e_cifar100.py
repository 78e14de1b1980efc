# ConViT-S with the localization loss on CIFAR-100 at 224 px, 100 epochs.
#
#   bash tools/dist_train.sh configs/drloc/cifar100/convit-small-drloc_8xb128-100e_cifar100.py 8
#
# The paper has no number for it. Not trained by us (no GPU node).
_base_ = './convit-small_8xb128-100e_cifar100.py'

model = dict(_base_.drloc, head=dict(_base_.drloc.head, _delete_=True, head=_base_.model.head))

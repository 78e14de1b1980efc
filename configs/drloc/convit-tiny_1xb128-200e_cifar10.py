# The CIFAR-10 recipe without the localization loss: the other side of its comparison.
#
#   python tools/train.py configs/drloc/convit-tiny_1xb128-200e_cifar10.py
#
# Not trained by us (no GPU).
_base_ = '../convit_drloc_cifar.py'

model = dict(
    backbone=dict(out_type='cls_token'),
    head=dict(_base_.model.head.head, _delete_=True),
)

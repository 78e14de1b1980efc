# swin-tiny with the dense relative localization loss on CIFAR-100 at 224 px, 100 epochs.
#
#   bash tools/dist_train.sh configs/drloc/swin-tiny-drloc_8xb128-100e_cifar100.py 8
#
# Published: 66.23 % top-1. Not trained by us (no GPU node).
_base_ = './swin-tiny_8xb128-100e_cifar100.py'

model = dict(
    neck=None,
    head=dict(
        _delete_=True,
        type='DRLocHead',
        in_channels=768,
        num_extra_tokens=0,
        neck=_base_.model.neck,
        head=_base_.model.head,
        loss_weight=0.5,
    ),
)

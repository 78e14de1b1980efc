# cvt-13 with the dense relative localization loss on CIFAR-100 at 224 px, 100 epochs.
#
#   bash tools/dist_train.sh configs/drloc/cvt-13-drloc_8xb128-100e_cifar100.py 8
#
# Published: 74.51 % top-1. Not trained by us (no GPU node).
_base_ = './cvt-13_8xb128-100e_cifar100.py'

# The 14 x 14 tokens are averaged to the paper's 7 x 7 for this loss only.
model = dict(
    backbone=dict(out_type='featmap'),
    head=dict(
        _delete_=True,
        type='DRLocHead',
        in_channels=384,
        num_extra_tokens=0,
        cls_source='gap',
        loss_grid_size=(7, 7),
        head=_base_.model.head,
        loss_weight=0.1,
    ),
)

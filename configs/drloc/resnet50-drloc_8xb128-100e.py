# ResNet-50 from scratch with the localization loss: 224 px, batch 1024, 100 epochs.
#
#   bash tools/dist_train.sh configs/drloc/resnet50-drloc_8xb128-100e.py 8
#   ... --data svhn: other data than CIFAR-100, of those in README.md
#
# The published results stand in configs/published.yml, by data. Not trained by us (no GPU node).
_base_ = './resnet50_8xb128-100e.py'

model = dict(
    neck=None,  # it moves into the head
    head=dict(
        _delete_=True,
        type='DRLocHead',
        preset='paper',
        loss_weight=0.5,  # the default of the released code
        loss_grid_size=None,  # the 7 x 7 tokens as they are
        in_channels=2048,
        num_extra_tokens=0,
        neck=_base_.model.neck,
        head=_base_.model.head,
    ),
)
optim_wrapper = dict(optimizer=dict(lr=1e-3))
train_cfg = dict(max_epochs=100)

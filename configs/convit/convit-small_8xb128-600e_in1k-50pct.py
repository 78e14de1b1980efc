# ConViT-S on 50 % of each class of ImageNet-1k (Table 2), 600 epochs: as many steps as 300 have
# with all images; the warm-up stays at 5 epochs.
#
#   bash tools/dist_train.sh configs/convit/convit-small_8xb128-600e_in1k-50pct.py 8 --amp
#
# Published: 78.2 % top-1. Not trained by us (no GPU node).
_base_ = './convit-small_8xb128_in1k.py'

train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='ClassSubset',
        fraction=0.5,
        mode='first',
        dataset=_base_.train_dataloader.dataset,
    ),
)
train_cfg = dict(max_epochs=600, val_interval=2)
default_hooks = dict(checkpoint=dict(interval=2))

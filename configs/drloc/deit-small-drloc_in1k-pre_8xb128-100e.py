# DeiT-S fine-tuned from ImageNet-1k with the localization loss: 224 px, batch 1024,
# 100 epochs.
#
#   bash tools/dist_train.sh configs/drloc/deit-small-drloc_in1k-pre_8xb128-100e.py 8
#   ... --data svhn: other data than CIFAR-100, of those in README.md
#
# The published results stand in configs/published.yml, by data. Not trained by us (no GPU node).
_base_ = './deit-small_in1k-pre_8xb128-100e.py'

model = dict(
    backbone=dict(out_type='raw'),
    head=dict(
        _delete_=True,
        type='DRLocHead',
        preset='paper',
        loss_weight=0.1,  # none is published: that of T2T-ViT
        loss_grid_size=(7, 7),  # 14 x 14 tokens are averaged for this loss only
        in_channels=384,
        num_extra_tokens=1,
        patch_size=16,
        head=_base_.model.head,
    ),
)
optim_wrapper = dict(optimizer=dict(lr=1e-3))
train_cfg = dict(max_epochs=100)

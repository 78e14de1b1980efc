# ConViT-S from scratch with the localization loss as the released code computes it: 224 px,
# batch 1024, 100 epochs.
#
#   bash tools/dist_train.sh configs/drloc/convit-small-drloc-official_8xb128-100e.py 8
#   ... --data svhn: other data than CIFAR-100, of those in README.md
#
# The published results stand in configs/published.yml, by data. Not trained by us (no GPU node).
_base_ = './convit-small-drloc_8xb128-100e.py'

model = dict(
    head=dict(
        preset='official',
        loss_weight=0.1,
        loss_grid_size=None,
        pool=(3, 2, 1),  # 14 x 14 tokens to 7 x 7: kernel, stride, padding
    ),
)
# Up for 20 of 300 epochs, then down to zero at the last, of which this run sees a third.
custom_hooks = [dict(type='LossWeightHook', warmup_epochs=20, total_epochs=300)]
optim_wrapper = dict(optimizer=dict(lr=1e-3))
train_cfg = dict(max_epochs=100)

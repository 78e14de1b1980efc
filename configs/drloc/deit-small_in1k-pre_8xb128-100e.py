# DeiT-S fine-tuned from ImageNet-1k: 224 px, batch 1024, 100 epochs.
# The weights are OpenMMLab's.
#
#   bash tools/dist_train.sh configs/drloc/deit-small_in1k-pre_8xb128-100e.py 8
#   ... --data svhn: other data than CIFAR-100, of those in README.md
#
# The published results stand in configs/published.yml, by data. Not trained by us (no GPU node).
_base_ = './deit-small_8xb128-100e.py'

model = dict(
    backbone=dict(
        init_cfg=dict(
            type='Pretrained',
            checkpoint='https://download.openmmlab.com/mmclassification/v0/deit/deit-small_pt-4xb256_in1k_20220218-9425b9bb.pth',
            prefix='backbone.',
        ),
    ),
)
optim_wrapper = dict(optimizer=dict(lr=1e-3))
train_cfg = dict(max_epochs=100)

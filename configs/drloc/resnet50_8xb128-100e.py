# ResNet-50 from scratch, the baseline of DRLoc: 224 px, batch 1024, 100 epochs.
#
#   bash tools/dist_train.sh configs/drloc/resnet50_8xb128-100e.py 8
#   ... --data svhn: other data than CIFAR-100, of those in README.md
#
# The published results stand in configs/published.yml, by data. Not trained by us (no GPU node).
_base_ = [
    '../_base_/models/resnet50.py',
    '../_base_/datasets/cifar100_224.py',
    '../_base_/schedules/adamw_100e_drloc.py',
    '../_base_/default_runtime.py',
]

model = dict(head=dict(num_classes=100))
optim_wrapper = dict(optimizer=dict(lr=1e-3))
train_cfg = dict(max_epochs=100)

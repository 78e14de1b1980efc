# CvT-13 fine-tuned from ImageNet-1k: 224 px, batch 1024, 100 epochs.
# The weights, of the official form of CvT, must be downloaded by hand: see
# configs/weights_by_hand.yml. That form has a class token.
#
#   bash tools/dist_train.sh configs/drloc/cvt-13_in1k-pre_8xb128-100e.py 8
#   ... --data svhn: other data than CIFAR-100, of those in README.md
#
# The published results stand in configs/published.yml, by data. Not trained by us (no GPU node).
_base_ = [
    '../_base_/models/cvt_13.py',
    '../_base_/datasets/cifar100_224.py',
    '../_base_/schedules/adamw_100e_drloc.py',
    '../_base_/default_runtime.py',
]

model = dict(
    backbone=dict(
        init_cfg=dict(
            type='Pretrained',
            checkpoint='pretrained/CvT-13-224x224-IN-1k.pth',
        ),
    ),
    head=dict(num_classes=100),
)
optim_wrapper = dict(optimizer=dict(lr=1e-3))
train_cfg = dict(max_epochs=100)

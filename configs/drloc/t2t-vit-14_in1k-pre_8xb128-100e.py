# T2T-ViT-14 fine-tuned from ImageNet-1k: 224 px, batch 1024, 100 epochs.
# The weights must be downloaded by hand: see configs/weights_by_hand.yml.
#
#   bash tools/dist_train.sh configs/drloc/t2t-vit-14_in1k-pre_8xb128-100e.py 8
#   ... --data svhn: other data than CIFAR-100, of those in README.md
#
# The published results stand in configs/published.yml, by data. Not trained by us (no GPU node).
_base_ = './t2t-vit-14_8xb128-100e.py'

model = dict(
    backbone=dict(
        init_cfg=dict(
            type='Pretrained',
            checkpoint='pretrained/t2t-vit-14.pth',
            prefix='backbone.',
        ),
    ),
)
optim_wrapper = dict(optimizer=dict(lr=1e-3))
train_cfg = dict(max_epochs=100)

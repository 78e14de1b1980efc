# Swin-T fine-tuned from ImageNet-1k: 224 px, batch 1024, 100 epochs.
# The authors' weights, as OpenMMLab renamed them.
#
#   bash tools/dist_train.sh configs/drloc/swin-tiny_in1k-pre_8xb128-100e.py 8
#   ... --data svhn: other data than CIFAR-100, of those in README.md
#
# The published results stand in configs/published.yml, by data. Not trained by us (no GPU node).
_base_ = './swin-tiny_8xb128-100e.py'

model = dict(
    backbone=dict(
        init_cfg=dict(
            type='Pretrained',
            checkpoint='https://download.openmmlab.com/mmclassification/v0/swin-transformer/convert/swin_tiny_patch4_window7_224-160bb0a5.pth',
            prefix='backbone.',
        ),
    ),
)
optim_wrapper = dict(optimizer=dict(lr=1e-3))
train_cfg = dict(max_epochs=100)

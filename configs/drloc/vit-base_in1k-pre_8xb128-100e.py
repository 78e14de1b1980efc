# ViT-B/16 fine-tuned from ImageNet-1k: 224 px, batch 1024, 100 epochs.
# The weights are DeiT-B's, by its authors, as OpenMMLab renamed them: their attention has the bias
# that the released ViT lacks, and their norms another eps.
#
#   bash tools/dist_train.sh configs/drloc/vit-base_in1k-pre_8xb128-100e.py 8
#   ... --data svhn: other data than CIFAR-100, of those in README.md
#
# The published results stand in configs/published.yml, by data. Not trained by us (no GPU node).
_base_ = './vit-base_8xb128-100e.py'

model = dict(
    backbone=dict(
        qkv_bias=True,
        norm_cfg=dict(eps=1e-6),
        init_cfg=dict(
            type='Pretrained',
            checkpoint='https://download.openmmlab.com/mmclassification/v0/deit/deit-base_3rdparty_pt-16xb64_in1k_20211124-6f40c188.pth',
            prefix='backbone.',
        ),
    ),
)
optim_wrapper = dict(optimizer=dict(lr=1e-3))
train_cfg = dict(max_epochs=100)

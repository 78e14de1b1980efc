# A plain ViT of the size of the CIFAR-10 recipe's ConViT, trained in the same way.
#
#   python tools/train.py configs/drloc/vit-tiny_1xb128-200e_cifar10.py
#
# Not trained by us (no GPU).
_base_ = './convit-tiny_1xb128-200e_cifar10.py'

model = dict(
    backbone=dict(
        _delete_=True,
        type='VisionTransformer',
        arch='deit-tiny',
        img_size=32,
        patch_size=4,
        drop_path_rate=0.1,
    ),
)

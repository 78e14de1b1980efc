# DeiT-S on ImageNet-1k by ConViT's recipe, which is DeiT's: what the paper compares ConViT-S with.
# 22.1M parameters, 4.60 GMACs, batch 1024, 300 epochs.
#
#   bash tools/dist_train.sh configs/convit/deit-small_8xb128_in1k.py 8 --amp
#   ... --fraction 0.1: a tenth of each class in 3000 epochs (Table 2; also 0.05, 0.3, 0.5)
#
# Published: 79.8 % top-1 (79.9 in Table 2). Not trained by us (no GPU node).
# The start is the host's: FFN weights by Xavier (a std of 0.032) and a class token of zeros. In
# the authors' code, and in ConViT here, both are a truncated normal of std 0.02.
_base_ = './convit-small_8xb128_in1k.py'

model = dict(
    backbone=dict(
        _delete_=True,
        type='VisionTransformer',
        arch='deit-small',
        img_size=224,
        patch_size=16,
        drop_path_rate=0.1,
    ),
    head=dict(in_channels=384),
)

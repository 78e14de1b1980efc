# ViT-B/16 from ImageNet-1k to ImageNet-1k as the ViT paper fine-tunes it:
# 384 px, batch 512, 20k steps. The whole head is taken off; its successor starts at zero.
#
#   bash tools/dist_train.sh configs/vit/vit-base-p16_in1k-pre_8xb64-20k_in1k-384px.py \
#       8 --amp
#
# Published: 77.91 % top-1. Not trained by us (no GPU node).
_base_ = [
    '../_base_/models/vit_fine_tuned.py',
    '../_base_/datasets/imagenet_vit_384.py',
    '../_base_/schedules/sgd_20k_vit.py',
]

model = dict(
    backbone=dict(
        init_cfg=dict(checkpoint='work_dirs/vit-base-p16_64xb64-300e_in1k/iter_93835.pth'),
    ),
)

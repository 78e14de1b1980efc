# ViT-L/16 from ImageNet-21k to ImageNet-1k as the ViT paper fine-tunes it:
# 384 px, batch 512, 20k steps. The whole head is taken off; its successor starts at zero.
#
#   bash tools/dist_train.sh configs/vit/vit-large-p16_in21k-pre_8xb64-20k_in1k-384px.py \
#       8 --amp
#
# Published: 85.15 % top-1. Not trained by us (no GPU node).
# Google's weights instead of those of our recipe: ViT-L_16.npz of gs://vit_models/imagenet21k,
#
#   python tools/convert_checkpoint.py ViT-L_16.npz vit.pth --arch vit
#
# and --cfg-options model.backbone.init_cfg.checkpoint=vit.pth
_base_ = [
    '../_base_/models/vit_fine_tuned.py',
    '../_base_/datasets/imagenet_vit_384.py',
    '../_base_/schedules/sgd_20k_vit.py',
]

model = dict(
    backbone=dict(
        arch='large',
        drop_rate=0.1,
        init_cfg=dict(checkpoint='work_dirs/vit-large-p16_64xb64-90e_in21k/iter_311948.pth'),
    ),
    head=dict(in_channels=1024),
)

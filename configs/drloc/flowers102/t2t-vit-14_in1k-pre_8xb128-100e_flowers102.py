# T2T-ViT-14 fine-tuned from ImageNet-1k on Flowers-102 at 224 px, 100 epochs.
# Weights to fetch first: see configs/_base_/models/t2t_vit_14.py.
#
#   bash tools/dist_train.sh \
#     configs/drloc/flowers102/t2t-vit-14_in1k-pre_8xb128-100e_flowers102.py 8
#
# Published: 97.98 % top-1. Not trained by us (no GPU node).
_base_ = './t2t-vit-14_8xb128-100e_flowers102.py'

model = dict(backbone=dict(init_cfg=_base_.pretrained))

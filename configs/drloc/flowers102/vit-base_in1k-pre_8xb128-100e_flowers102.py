# ViT-B/16 fine-tuned from ImageNet-1k on Flowers-102 at 224 px, 100 epochs.
#
#   bash tools/dist_train.sh configs/drloc/flowers102/vit-base_in1k-pre_8xb128-100e_flowers102.py 8
#
# The paper has no number for it. Not trained by us (no GPU node).
_base_ = './vit-base_8xb128-100e_flowers102.py'

model = dict(backbone=_base_.fine_tuned)

# T2T-ViT-14 with the localization loss on Flowers-102 at 224 px, 100 epochs.
#
#   bash tools/dist_train.sh configs/drloc/flowers102/t2t-vit-14-drloc_8xb128-100e_flowers102.py 8
#
# Published: 34.35 % top-1. Not trained by us (no GPU node).
_base_ = './t2t-vit-14_8xb128-100e_flowers102.py'

model = dict(_base_.drloc, head=dict(_base_.drloc.head, _delete_=True, head=_base_.model.head))

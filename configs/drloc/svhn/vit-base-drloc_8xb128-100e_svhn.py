# ViT-B/16 with the localization loss on SVHN at 224 px, 100 epochs.
#
#   bash tools/dist_train.sh configs/drloc/svhn/vit-base-drloc_8xb128-100e_svhn.py 8
#
# The paper has no number for it. Not trained by us (no GPU node).
_base_ = './vit-base_8xb128-100e_svhn.py'

model = dict(_base_.drloc, head=dict(_base_.drloc.head, _delete_=True, head=_base_.model.head))

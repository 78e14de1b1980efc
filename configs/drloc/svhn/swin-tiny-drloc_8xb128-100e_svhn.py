# Swin-T with the localization loss on SVHN at 224 px, 100 epochs.
#
#   bash tools/dist_train.sh configs/drloc/svhn/swin-tiny-drloc_8xb128-100e_svhn.py 8
#
# Published: 94.23 % top-1. Not trained by us (no GPU node).
_base_ = './swin-tiny_8xb128-100e_svhn.py'

model = dict(_base_.drloc, head=dict(_base_.drloc.head, _delete_=True, head=_base_.model.head))

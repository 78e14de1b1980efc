# CvT-13 with the localization loss on ImageNet-100 at 224 px, 100 epochs.
#
#   bash tools/dist_train.sh configs/drloc/imagenet100/cvt-13-drloc_8xb128-100e_imagenet100.py 8
#
# Published: 85.98 % top-1. Not trained by us (no GPU node).
_base_ = './cvt-13_8xb128-100e_imagenet100.py'

model = dict(_base_.drloc, head=dict(_base_.drloc.head, _delete_=True, head=_base_.model.head))

# CvT-13 with the localization loss, fine-tuned from ImageNet-1k on ImageNet-100.
# Weights to fetch first: see configs/_base_/models/cvt_13.py.
#
#   bash tools/dist_train.sh \
#     configs/drloc/imagenet100/cvt-13-drloc_in1k-pre_8xb128-100e_imagenet100.py 8
#
# The paper has no such row: the weights have seen these images with their labels.
# Not trained by us (no GPU node).
_base_ = './cvt-13_in1k-pre_8xb128-100e_imagenet100.py'

model = dict(_base_.drloc, head=dict(_base_.drloc.head, _delete_=True, head=_base_.model.head))

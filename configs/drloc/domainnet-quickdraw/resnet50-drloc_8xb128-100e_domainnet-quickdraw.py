# ResNet-50 with the localization loss on DomainNet quickdraw at 224 px, 100 epochs.
#
#   bash tools/dist_train.sh \
#     configs/drloc/domainnet-quickdraw/resnet50-drloc_8xb128-100e_domainnet-quickdraw.py 8
#
# The paper's number is not at hand. Not trained by us (no GPU node).
_base_ = './resnet50_8xb128-100e_domainnet-quickdraw.py'

model = dict(_base_.drloc, head=dict(_base_.drloc.head, _delete_=True, head=_base_.model.head))

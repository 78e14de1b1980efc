# T2T-ViT-14 with the localization loss on DomainNet real at 224 px, 100 epochs.
#
#   bash tools/dist_train.sh \
#     configs/drloc/domainnet-real/t2t-vit-14-drloc_8xb128-100e_domainnet-real.py 8
#
# Published: 74.63 % top-1. Not trained by us (no GPU node).
_base_ = './t2t-vit-14_8xb128-100e_domainnet-real.py'

model = dict(_base_.drloc, head=dict(_base_.drloc.head, _delete_=True, head=_base_.model.head))

# ConViT-S with the localization loss on DomainNet real at 224 px, 100 epochs.
#
#   bash tools/dist_train.sh \
#     configs/drloc/domainnet-real/convit-small-drloc_8xb128-100e_domainnet-real.py 8
#
# The paper has no number for it. Not trained by us (no GPU node).
_base_ = './convit-small_8xb128-100e_domainnet-real.py'

model = dict(_base_.drloc, head=dict(_base_.drloc.head, _delete_=True, head=_base_.model.head))

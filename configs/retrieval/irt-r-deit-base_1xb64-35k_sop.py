# IRT_R: IRT_L and the KoLeo regulariser, DeiT-B on Stanford Online Products.
#
#   python tools/train.py configs/retrieval/irt-r-deit-base_1xb64-35k_sop.py
#
# The paper has no row for it. Not trained by us (no data).
_base_ = './irt-l-deit-base_1xb64-35k_sop.py'

model = dict(head=dict(koleo=dict(type='KoLeoLoss', loss_weight=0.7)))

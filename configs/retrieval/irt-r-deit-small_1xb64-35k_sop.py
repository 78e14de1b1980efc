# IRT_R: IRT_L and the KoLeo regulariser, DeiT-S on Stanford Online Products.
#
#   python tools/train.py configs/retrieval/irt-r-deit-small_1xb64-35k_sop.py
#
# The paper: Recall@1 84.0 %. Not trained by us (no data).
_base_ = './irt-l-deit-small_1xb64-35k_sop.py'

model = dict(head=dict(koleo=dict(type='KoLeoLoss', loss_weight=0.7)))

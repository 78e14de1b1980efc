# IRT_R: IRT_L and the KoLeo regulariser, DeiT-S on In-Shop.
#
#   python tools/train.py configs/retrieval/irt-r-deit-small_1xb64-35k_in-shop.py
#
# The paper: Recall@1 91.5 %. Not trained by us (no data).
_base_ = './irt-l-deit-small_1xb64-35k_in-shop.py'

model = dict(head=dict(koleo=dict(type='KoLeoLoss', loss_weight=0.7)))

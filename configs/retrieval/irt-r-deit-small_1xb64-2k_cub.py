# IRT_R: IRT_L and the KoLeo regulariser, DeiT-S on CUB-200-2011, split by class.
#
#   python tools/train.py configs/retrieval/irt-r-deit-small_1xb64-2k_cub.py
#
# The paper: Recall@1 74.7 %. Not trained by us (no data).
_base_ = './irt-l-deit-small_1xb64-2k_cub.py'

model = dict(head=dict(koleo=dict(type='KoLeoLoss', loss_weight=0.7)))

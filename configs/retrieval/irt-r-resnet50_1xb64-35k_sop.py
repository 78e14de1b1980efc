# IRT_R: IRT_L and the KoLeo regulariser, ResNet-50 on Stanford Online Products.
#
#   python tools/train.py configs/retrieval/irt-r-resnet50_1xb64-35k_sop.py
#
# The paper: Recall@1 81.2 %. Not trained by us (no data).
_base_ = './irt-l-resnet50_1xb64-35k_sop.py'

model = dict(head=dict(koleo=dict(type='KoLeoLoss', loss_weight=0.7)))

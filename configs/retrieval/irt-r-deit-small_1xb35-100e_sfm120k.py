# IRT_R: IRT_L and the KoLeo regulariser, DeiT-S on SfM-120k at 224 px. The published row is that
# of weight 4; that KoLeo runs over all 35 images of a batch, not over tuples, is our reading.
#
#   python tools/train.py configs/retrieval/irt-r-deit-small_1xb35-100e_sfm120k.py
#
# The paper, mAP Medium / Hard: Oxford 34.0 % / 11.5 %, Paris 66.1 % / 40.2 %. Not trained by us
# (no data).
_base_ = './irt-l-deit-small_1xb35-100e_sfm120k.py'

model = dict(head=dict(koleo=dict(type='KoLeoLoss', loss_weight=4.0)))

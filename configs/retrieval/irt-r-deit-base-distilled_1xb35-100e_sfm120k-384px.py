# IRT_R: IRT_L and the KoLeo regulariser, distilled DeiT-B on SfM-120k at 384 px.
#
#   python tools/train.py configs/retrieval/irt-r-deit-base-distilled_1xb35-100e_sfm120k-384px.py
#
# The paper, mAP Medium / Hard: Oxford 55.1 % / 28.3 %, Paris 72.7 % / 49.6 %. Not trained by us
# (no data).
_base_ = './irt-l-deit-base-distilled_1xb35-100e_sfm120k-384px.py'

model = dict(head=dict(koleo=dict(type='KoLeoLoss', loss_weight=4.0)))

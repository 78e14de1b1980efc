# IRT_L: DeiT-S on SfM-120k with re-mined negatives, tested on Revisited Oxford at 224 px.
#
#   python tools/train.py configs/retrieval/irt-l-deit-small_1xb35-100e_sfm120k.py
#
# Revisited Paris: --cfg-options test_dataloader.dataset.name=rparis6k (with tools/test.py). The
# paper, mAP Medium / Hard: Oxford 32.7 % / 11.4 %, Paris 63.6 % / 37.8 %. Not trained by us (no
# data).
_base_ = [
    '../_base_/models/irt_deit_small.py',
    '../_base_/datasets/sfm120k_224.py',
    '../_base_/schedules/adam_100e_sfm.py',
]

# Here the margin is a Euclidean distance, as in cnnimageretrieval-pytorch.
model = dict(
    head=dict(loss=dict(_delete_=True, type='TupleContrastiveLoss', tuple_size=7, margin=0.85))
)

# IRT_L: DeiT-S on Stanford Online Products.
# Contrastive loss and a memory of all 59,551 training images.
#
#   python tools/train.py configs/retrieval/irt-l-deit-small_1xb64-35k_sop.py
#
# The paper: Recall@1 83.0 %. Not trained by us (no data).
_base_ = [
    '../_base_/models/irt_deit_small.py',
    '../_base_/datasets/sop_224.py',
    '../_base_/schedules/adamw_irt.py',
]

model = dict(
    head=dict(memory=dict(type='CrossBatchMemory', size=59551)),
)

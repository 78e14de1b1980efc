# IRT_L: DeiT-S on CUB-200-2011, split by class.
# Contrastive loss and a memory of all 5,864 training images.
#
#   python tools/train.py configs/retrieval/irt-l-deit-small_1xb64-2k_cub.py
#
# The paper: Recall@1 74.2 %. Not trained by us (no data).
_base_ = [
    '../_base_/models/irt_deit_small.py',
    '../_base_/datasets/cub_retrieval_224.py',
    '../_base_/schedules/adamw_irt.py',
]

model = dict(
    head=dict(memory=dict(type='CrossBatchMemory', size=5864)),
)
train_cfg = dict(max_iters=2000, val_interval=500)
default_hooks = dict(checkpoint=dict(interval=500))

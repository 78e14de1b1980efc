# IRT_L: DeiT-S on In-Shop.
# Contrastive loss and a memory of 0.2 of the training images,
# encoded by a running average of the weights.
#
#   python tools/train.py configs/retrieval/irt-l-deit-small_1xb64-35k_in-shop.py
#
# The paper: Recall@1 90.3 %. Not trained by us (no data).
_base_ = [
    '../_base_/models/irt_deit_small.py',
    '../_base_/datasets/in_shop_224.py',
    '../_base_/schedules/adamw_irt.py',
]

model = dict(
    momentum_encoder=0.999,
    head=dict(memory=dict(type='CrossBatchMemory', size=5176)),
)

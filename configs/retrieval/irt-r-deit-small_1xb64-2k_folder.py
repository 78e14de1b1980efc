# IRT_R on class folders of your own, tested on classes that training does not see.
#
#   python tools/train.py configs/retrieval/irt-r-deit-small_1xb64-2k_folder.py --data-root DIR
#
# DIR holds class folders, half of which are chosen for the test, or train and test with different
# ones. The schedule is that of CUB-200-2011. Not trained by us (no GPU node).
_base_ = [
    '../_base_/models/irt_deit_small.py',
    '../_base_/datasets/retrieval_folder_224.py',
    '../_base_/schedules/adamw_irt.py',
]

model = dict(
    head=dict(
        memory=dict(type='CrossBatchMemory', size=5864),
        koleo=dict(type='KoLeoLoss', loss_weight=0.7),
    )
)
train_cfg = dict(max_iters=2000, val_interval=500)
default_hooks = dict(checkpoint=dict(interval=500))

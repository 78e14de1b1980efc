# DeiT III ViT-S: 20 epochs at 384 px after those at 224 px, batch 512.
#
#   bash tools/dist_train.sh configs/deit3/deit3-small-p16_ft-8xb64-20e_in1k-384px.py 8 --amp
#
# Published: 83.42 % top-1 at the last epoch of its log. Not trained by us (no GPU node).
# After ImageNet-21k (deit3-small-p16_in21k-pre_*) the same: there is no command of its own for it
# (unsourced). --cfg-options load_from=FILE.
_base_ = [
    '../_base_/models/deit3_ce.py',
    '../_base_/datasets/imagenet_deit3_ft_384.py',
    '../_base_/schedules/adamw_20e_deit3.py',
    '../_base_/default_runtime.py',
]

model = dict(
    backbone=dict(arch='small', img_size=384, drop_path_rate=0.0),
    head=dict(in_channels=384),
)
load_from = 'work_dirs/deit3-small-p16_8xb256-800e_in1k/epoch_800.pth'

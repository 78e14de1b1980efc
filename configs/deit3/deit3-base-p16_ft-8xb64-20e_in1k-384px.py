# DeiT III ViT-B: 20 epochs at 384 px after those at 192 px, batch 512.
#
#   bash tools/dist_train.sh configs/deit3/deit3-base-p16_ft-8xb64-20e_in1k-384px.py 8 --amp
#
# Published: 85.08 % top-1 at the last epoch of its log. Not trained by us (no GPU node).
# After ImageNet-21k (deit3-base-p16_in21k-pre_*) the same: there is no command of its own for it
# (unsourced). --cfg-options load_from=FILE.
_base_ = [
    '../_base_/models/deit3_ce.py',
    '../_base_/datasets/imagenet_deit3_ft_384.py',
    '../_base_/schedules/adamw_20e_deit3.py',
    '../_base_/default_runtime.py',
]

model = dict(
    backbone=dict(arch='base', img_size=384, drop_path_rate=0.15),
    head=dict(in_channels=768),
)
load_from = 'work_dirs/deit3-base-p16_8xb256-800e_in1k-192px/epoch_800.pth'

# DeiT III ViT-L: 20 epochs at 224 px after those at 192 px, batch 512.
#
#   bash tools/dist_train.sh configs/deit3/deit3-large-p16_ft-8xb64-20e_in1k-224px.py 8 --amp
#
# Published: 84.86 % top-1 at the last epoch of its log. Not trained by us (no GPU node).
_base_ = [
    '../_base_/models/deit3_ce.py',
    '../_base_/datasets/imagenet_deit3_ft_224.py',
    '../_base_/schedules/adamw_20e_deit3.py',
    '../_base_/default_runtime.py',
]

model = dict(
    backbone=dict(arch='large', img_size=224, drop_path_rate=0.45),
    head=dict(in_channels=1024),
)
load_from = 'work_dirs/deit3-large-p16_32xb64-800e_in1k-192px/epoch_800.pth'

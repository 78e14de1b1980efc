# DeiT III ViT-H: 20 epochs at 224 px after those at 154 px, batch 512.
#
#   NNODES=2 NODE_RANK=0 MASTER_ADDR=HOST \
#     bash tools/dist_train.sh configs/deit3/deit3-huge-p14_ft-16xb32-20e_in1k-224px.py 8 --amp
#
# Published: 85.22 % top-1 at the last epoch of its log. Not trained by us (no GPU node).
_base_ = [
    '../_base_/models/deit3_ce.py',
    '../_base_/datasets/imagenet_deit3_ft_224.py',
    '../_base_/schedules/adamw_20e_deit3.py',
    '../_base_/default_runtime.py',
]

model = dict(
    backbone=dict(arch='huge', img_size=224, drop_path_rate=0.55),
    head=dict(in_channels=1280),
)
train_dataloader = dict(batch_size=32)
load_from = 'work_dirs/deit3-huge-p14_32xb64-800e_in1k-154px/epoch_800.pth'

# DeiT III ViT-H on ImageNet-1k after ImageNet-21k: 224 px, batch 2048, 50 epochs.
#
#   NNODES=4 NODE_RANK=0 MASTER_ADDR=HOST \
#     bash tools/dist_train.sh configs/deit3/deit3-huge-p14_in21k-pre_32xb64-50e_in1k.py 8 --amp
#
# Published: 87.18 % top-1 at the last epoch of its log. Not trained by us (no GPU node).
_base_ = [
    '../_base_/models/deit3_ce.py',
    '../_base_/datasets/imagenet_deit3_src_224.py',
    '../_base_/schedules/lamb_50e_deit3.py',
    '../_base_/default_runtime.py',
]

model = dict(
    backbone=dict(arch='huge', drop_path_rate=0.45),
    head=dict(in_channels=1280),
    train_cfg=dict(augments=[dict(type='CutMix', alpha=1.0)]),
)
train_dataloader = dict(batch_size=64)
# The classifier of 21,841 classes does not fit and is left out: the one here is new.
load_from = 'work_dirs/deit3-huge-p14_32xb64-90e_in21k-126px/epoch_90.pth'

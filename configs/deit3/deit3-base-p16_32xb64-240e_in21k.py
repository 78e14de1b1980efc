# DeiT III ViT-B on ImageNet-21k: 224 px, batch 2048, 240 epochs.
#
#   NNODES=4 NODE_RANK=0 MASTER_ADDR=HOST \
#     bash tools/dist_train.sh configs/deit3/deit3-base-p16_32xb64-240e_in21k.py 8 --amp
#
# Published: 56.5 % top-1 on the validation images of ImageNet-1k at the last epoch of its
# log. Not trained by us (no GPU node).
_base_ = [
    '../_base_/models/deit3_ce.py',
    '../_base_/datasets/imagenet21k_deit3_224.py',
    '../_base_/schedules/lamb_240e_deit3.py',
    '../_base_/default_runtime.py',
]

model = dict(
    backbone=dict(arch='base', img_size=224, drop_path_rate=0.1),
    head=dict(num_classes=21841, in_channels=768),
    train_cfg=dict(augments=[dict(type='CutMix', alpha=1.0)]),
)
train_dataloader = dict(batch_size=64)

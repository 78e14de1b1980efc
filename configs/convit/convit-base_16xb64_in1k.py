# ConViT-B on ImageNet-1k, as published: 86.5M parameters, 17.5 GMACs, batch 1024, 300 epochs.
#
#   NNODES=2 NODE_RANK=0 MASTER_ADDR=HOST \
#     bash tools/dist_train.sh configs/convit/convit-base_16xb64_in1k.py 8 --amp
#
# Published: 82.4 % top-1. Not trained by us (no GPU node).
_base_ = [
    '../_base_/models/convit.py',
    '../_base_/datasets/imagenet_224.py',
    '../_base_/schedules/adamw_300e_convit.py',
    '../_base_/default_runtime.py',
]

model = dict(backbone=dict(arch='base'), head=dict(in_channels=768))
train_dataloader = dict(batch_size=64)

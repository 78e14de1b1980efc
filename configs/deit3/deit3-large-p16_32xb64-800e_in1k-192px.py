# DeiT III ViT-L on ImageNet-1k from scratch: 304.3M parameters, 192 px, batch 2048, 800 epochs.
#
#   NNODES=4 NODE_RANK=0 MASTER_ADDR=HOST \
#     bash tools/dist_train.sh configs/deit3/deit3-large-p16_32xb64-800e_in1k-192px.py 8 --amp
#
# Published: 84.02 % top-1 at the last epoch of its log. Not trained by us (no GPU node).
_base_ = [
    '../_base_/models/deit3.py',
    '../_base_/datasets/imagenet_deit3_192.py',
    '../_base_/schedules/lamb_800e_deit3.py',
    '../_base_/default_runtime.py',
]

model = dict(
    backbone=dict(arch='large', img_size=192, drop_path_rate=0.45),
    head=dict(in_channels=1024),
)
train_dataloader = dict(batch_size=64)

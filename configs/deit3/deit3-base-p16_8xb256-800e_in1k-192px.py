# DeiT III ViT-B on ImageNet-1k from scratch: 86.5M parameters, 192 px, batch 2048, 800 epochs.
#
#   bash tools/dist_train.sh configs/deit3/deit3-base-p16_8xb256-800e_in1k-192px.py 8 --amp
#
# Published: 82.82 % top-1 at the last epoch of its log. Not trained by us (no GPU node).
_base_ = [
    '../_base_/models/deit3.py',
    '../_base_/datasets/imagenet_deit3_192.py',
    '../_base_/schedules/lamb_800e_deit3.py',
    '../_base_/default_runtime.py',
]

model = dict(
    backbone=dict(arch='base', img_size=192, drop_path_rate=0.2),
    head=dict(in_channels=768),
)

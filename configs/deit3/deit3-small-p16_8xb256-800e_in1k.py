# DeiT III ViT-S on ImageNet-1k from scratch: 22.1M parameters, 224 px, batch 2048, 800 epochs.
#
#   bash tools/dist_train.sh configs/deit3/deit3-small-p16_8xb256-800e_in1k.py 8 --amp
#
# Published: 81.38 % top-1 at the last epoch of its log. Not trained by us (no GPU node).
_base_ = [
    '../_base_/models/deit3.py',
    '../_base_/datasets/imagenet_deit3_224.py',
    '../_base_/schedules/lamb_800e_deit3.py',
    '../_base_/default_runtime.py',
]

optim_wrapper = dict(optimizer=dict(lr=4e-3))

# ConViT-Ti+ on ImageNet-1k, as published: 10.0M parameters, 2.13 GMACs, batch 512, 300 epochs.
#
#   bash tools/dist_train.sh configs/convit/convit-tiny-plus_8xb64_in1k.py 8 --amp
#
# Published: 76.7 % top-1. Not trained by us (no GPU node).
_base_ = [
    '../_base_/models/convit.py',
    '../_base_/datasets/imagenet_224.py',
    '../_base_/schedules/adamw_300e_convit.py',
    '../_base_/default_runtime.py',
]

model = dict(backbone=dict(arch='tiny-plus'), head=dict(in_channels=256))
train_dataloader = dict(batch_size=64)

# The "+" models ran at batch 512 with learning rate 4e-4.
optim_wrapper = dict(optimizer=dict(lr=4e-4))
auto_scale_lr = dict(base_batch_size=512)

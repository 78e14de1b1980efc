# ConViT-Ti on ImageNet-1k, as published: 5.7M parameters, 1.25 GMACs, batch 1024, 300 epochs.
#
#   bash tools/dist_train.sh configs/convit/convit-tiny_4xb256_in1k.py 4 --amp
#
# Published: 73.1 % top-1. Not trained by us (no GPU node).
_base_ = [
    '../_base_/models/convit.py',
    '../_base_/datasets/imagenet_224.py',
    '../_base_/schedules/adamw_300e_convit.py',
    '../_base_/default_runtime.py',
]

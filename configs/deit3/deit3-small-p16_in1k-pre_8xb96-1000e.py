# DeiT III ViT-S from ImageNet-1k to a small dataset: 224 px, batch 768, 1000 epochs at 0.01.
# The settings are unsourced, see ../_base_/schedules/sgd_1000e_deit3.py; augmentation and
# loss are those of the fine-tuning on ImageNet-1k.
#
#   bash tools/dist_train.sh configs/deit3/deit3-small-p16_in1k-pre_8xb96-1000e.py 8 --amp
#   ... --data cifar10: in place of CIFAR-100; or flowers102, inat2018, inat2019, stanford-cars
#
# Recalled from the paper (unsourced): configs/published.yml, for S, B and L.
# Not trained by us (no GPU node). Published weights:
# --cfg-options load_from=URL with the address from metafile.yml.
# B: model.backbone.arch=base model.head.in_channels=768; L: large and 1024.
_base_ = [
    '../_base_/models/deit3_ce.py',
    '../_base_/datasets/cifar100_deit3_ft_224.py',
    '../_base_/schedules/sgd_1000e_deit3.py',
    '../_base_/default_runtime.py',
]

model = dict(backbone=dict(drop_path_rate=0.0), head=dict(num_classes=100))
load_from = 'work_dirs/deit3-small-p16_8xb256-800e_in1k/epoch_800.pth'

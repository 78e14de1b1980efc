# ImageNet-21k at 224 px as DeiT III pre-trains: simple random crop, flip, 3-Augment. As its
# author says, validation uses the validation images of ImageNet-1k, with their classes among the
# 21 thousand.
#
#   data/imagenet21k/train/n00004475/...      one folder per class
#   data/imagenet21k/meta/train.txt           lines "n00004475/n00004475_32.JPEG 0"
#   data/imagenet21k/meta/imagenet1k_val.txt  the same for data/imagenet/val/n01440764/...
#   data/imagenet/val/n01440764/...
#
# These commands make the two lists once, in data/imagenet21k. A class of ImageNet-1k that has no
# folder in train is left out:
#
#   mkdir -p meta
#   (cd train && ls | LC_ALL=C sort) | awk '{print $1, NR - 1}' > meta/classes.txt
#   number='NR == FNR {number[$1] = $2; next} $1 in number {print $0, number[$1]}'
#   (cd train && find * -type f) | awk -F'[ /]' "$number" meta/classes.txt - > meta/train.txt
#   (cd ../imagenet/val && find * -type f) |
#       awk -F'[ /]' "$number" meta/classes.txt - > meta/imagenet1k_val.txt
#
# 21,841 is the number of classes of the complete release; it is unsourced, because the authors'
# code was not read for it. For another release, add --cfg-options model.head.num_classes=... and
# data_preprocessor.num_classes=...
_base_ = './imagenet_deit3_src_224.py'

data_preprocessor = dict(num_classes=21841)
train_dataloader = dict(
    dataset=dict(
        type='ImageNet21k',
        data_root='data/imagenet21k',
        ann_file='meta/train.txt',
    ),
)
val_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='ImageNet21k',
        ann_file='data/imagenet21k/meta/imagenet1k_val.txt',
        data_prefix='data/imagenet/val',
        pipeline=_base_.test_pipeline,
    ),
)
test_dataloader = val_dataloader

# Your own photos, one folder per class, with the augmentation of DeiT III: the ConViT-Ti and the
# localization loss of convit_drloc_folder.py, with the simple random crop instead of the random
# resized crop and 3-Augment instead of RandAugment. A crop keeps most of a photo and its shapes.
#
#   python tools/train.py configs/convit_drloc_3aug_folder.py --data-root DIR
#   python tools/predict.py work_dirs/convit_drloc_3aug_folder NEW_PHOTOS --out classes.csv
#
# The combination is ours and is in no paper. DeiT III itself uses the random resized crop if there
# are few images (ImageNet-1k) and the simple random crop on ImageNet-21k, so compare the two
# recipes on your photos.
#
# Not trained by us to the end and not tuned (no GPU).
_base_ = './convit_drloc_folder.py'

train_pipeline = [
    dict(type='LoadPhoto'),
    dict(type='SimpleRandomCrop', crop_size=_base_.size),
    # flip_prob=0 for text and left/right
    dict(type='ThreeAugment', color_jitter=0.3, flip_prob=0.5),
    dict(type='PackInputs'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))

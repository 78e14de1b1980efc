# Your own photos, one folder per class, with the augmentation of DeiT III: the ConViT-Ti and the
# localization loss of convit_drloc_folder.py, simple random crop in place of the random resized
# one and 3-Augment in place of RandAugment. Each photo is seen nearly whole, its shapes kept.
#
#   python tools/train.py configs/convit_drloc_3aug_folder.py --data-root DIR
#   python tools/predict.py work_dirs/convit_drloc_3aug_folder NEW_PHOTOS --out classes.csv
#
# The combination is ours: no paper has it. DeiT III itself keeps the random resized crop where
# images are few (ImageNet-1k) and crops this gently on ImageNet-21k, so compare the two recipes on
# your photos.
#
# Not trained by us to the end, nor tuned: no GPU at hand.
_base_ = './convit_drloc_folder.py'

train_pipeline = [
    dict(type='LoadPhoto'),
    dict(type='SimpleRandomCrop', crop_size=_base_.size),
    # flip_prob=0 for text and left/right
    dict(type='ThreeAugment', color_jitter=0.3, flip_prob=0.5),
    dict(type='PackInputs'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))

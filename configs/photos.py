# Your own photos, from weights trained on ImageNet-1k: `vit-plugins train photos --data-root DIR`.
# A ConViT-Ti with the dense relative localization loss at 224 px; colours do not change.
#
#   python tools/train.py configs/photos.py --data-root DIR
#   python tools/train.py configs/photos.py --data-root DIR --time-limit 20m --img-size 160
#
# The weights are those of the smallest ConViT: 23 MB, Apache-2.0, 73.1 % top-1 on ImageNet-1k. It
# needs a quarter of the time of the small one (81.4 %), so that a training also ends on a CPU. If
# the weights can be neither found nor downloaded, photos-scratch.py is trained instead, and the
# log says so. --pretrained NAME|FILE names other weights of this size. Not trained by us: the
# weights could not be downloaded where this was written.
_base_ = './convit_drloc_folder_finetune.py'

default_weights = 'convit-tiny_3rdparty_in1k'  # without --pretrained
backbone_follows = True  # the weights that are named
from_scratch = 'configs/photos-scratch.py'

size = 224
# no RandAugment: it changes colours, and some classes differ by colour
train_pipeline = [_base_.train_pipeline[i] for i in (0, 1, 2, 4)]
train_pipeline[1] = dict(_base_.train_pipeline[1], scale=size)
test_pipeline = [*_base_.test_pipeline]
test_pipeline[1] = dict(_base_.test_pipeline[1], scale=size * 8 // 7)
test_pipeline[2] = dict(_base_.test_pipeline[2], crop_size=size)
model = dict(backbone=dict(img_size=size))
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))

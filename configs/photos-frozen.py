# Your own photos in a minute, also on a CPU: `vit-plugins train photos-frozen --data-root DIR`. A
# trained network encodes each photo once, and a linear classifier is fitted to these features. The
# work dir is used like that of any other training.
#
#   python tools/train.py configs/photos-frozen.py --data-root DIR
#   python tools/train.py configs/photos-frozen.py --data-root DIR --classifier nearest-mean
#   python tools/train.py configs/photos-frozen.py --data-root DIR --pretrained NAME|FILE
#
# The backbone is that of the weights: any classifier of the model index, a FILE of one that
# configs/pretrained_models.yml lists, or a file with --backbone NAME. Features are kept in the
# user's cache folder, so another penalty or classifier takes seconds.
#
# Result on TrashNet (2,022 photos, 505 others for validation) with EfficientNet-lite0, the only
# weights that were available here: 85.7 % (95 % interval 82.4 to 88.5); extra trees on colour
# histograms reach 81.8 %. The default weights could not be downloaded here. They have the highest
# published accuracy of those in the table that encode 17 photos a second or more on one thread, so
# that two cores take a minute for 2,000.
_base_ = './convit_drloc_folder.py'

default_weights = 'edgenext-small-usi_3rdparty_in1k'  # without --pretrained
backbone_follows = True  # the weights that are named

size = 256
model = dict(
    _delete_=True,
    type='ImageClassifier',
    backbone=dict(type='EdgeNeXt', arch='small', out_indices=(3,), gap_before_final_norm=True),
    neck=None,
    head=dict(type='LinearClsHead', num_classes=2, in_channels=304),  # both are set to fit
)
# the photos are prepared as in a test, so that their features can be kept
pipeline = [*_base_.test_pipeline]
pipeline[1] = dict(pipeline[1], scale=size * 8 // 7)
pipeline[2] = dict(pipeline[2], crop_size=size)
train_dataloader = dict(
    batch_size=32,
    dataset=dict(pipeline=pipeline),
    sampler=dict(type='DefaultSampler', shuffle=False),
)
val_dataloader = dict(batch_size=32, dataset=dict(pipeline=pipeline))
test_dataloader = dict(batch_size=32, dataset=dict(pipeline=pipeline))

train_cfg = dict(
    _delete_=True,
    type='FrozenFeatureLoop',
    classifier='linear',  # or 'nearest-mean'
    penalty=None,  # chosen by cross-validation on the photos to train on
)
val_cfg = dict(type='FrozenFeatureValLoop')
# the host needs one; the loop takes no step with it
optim_wrapper = dict(_delete_=True, optimizer=dict(type='SGD', lr=1.0))
param_scheduler = None
auto_scale_lr = None
default_hooks = dict(
    checkpoint=dict(save_param_scheduler=False),  # there is none
    learning_curve=None,  # of one point
    report_page=dict(enable=True),
)

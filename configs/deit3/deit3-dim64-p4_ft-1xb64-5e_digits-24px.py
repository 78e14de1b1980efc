# High resolution after low: the model of deit3-dim64-p4_1xb64-30e_digits-16px.py, whose weights it
# loads, goes on at 24 px. The position embedding is resized from 4 x 4 to 6 x 6 patches on the
# way in.
#
#   python tools/train.py configs/deit3/deit3-dim64-p4_ft-1xb64-5e_digits-24px.py
#
# Seen: the weights of 16 px (96.10 % there) are right on 97.21 % of the test images at 24 px
# before the first step, and on 97.49 % after the five epochs. With randomness.seed=1 in both:
# 96.10 %, then 97.21 and 97.77 %.
_base_ = './deit3-dim64-p4_1xb64-30e_digits-16px.py'

size = 24
model = dict(backbone=dict(img_size=size))
train_pipeline = [*_base_.train_pipeline]
train_pipeline[0] = dict(train_pipeline[0], crop_size=size, padding=3)
test_pipeline = [*_base_.test_pipeline]
test_pipeline[0] = dict(test_pipeline[0], scale=(size, size))
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))

optim_wrapper = dict(optimizer=dict(lr=2e-3))
param_scheduler = [dict(type='WarmupCosineLR', warmup=1, warmup_lr=1e-6, eta_min=1e-5, lag=1)]
train_cfg = dict(max_epochs=5)
default_hooks = dict(checkpoint=dict(interval=5))
load_from = 'work_dirs/deit3-dim64-p4_1xb64-30e_digits-16px/epoch_30.pth'

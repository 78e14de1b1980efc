# The schedule of cnnimageretrieval-pytorch for SfM-120k, which is the basis of IRT: Adam, learning
# rate 5e-7 x exp(-0.01 e) in epoch e, counted from 1, weight decay 1e-6, 100 epochs of 400 steps.
# It keeps the epoch that is best in validation. We do this too, by the mean average precision on
# the val split.
_base_ = '../default_runtime.py'

optim_wrapper = dict(optimizer=dict(type='Adam', lr=4.950249168745841e-07, weight_decay=1e-6))
param_scheduler = [dict(type='ExponentialLR', gamma=0.990049833749168, by_epoch=True)]
train_cfg = dict(by_epoch=True, max_epochs=100, val_interval=1)
val_cfg = dict()
test_cfg = dict()
auto_scale_lr = dict(base_batch_size=35)

default_hooks = dict(checkpoint=dict(save_best='retrieval/mAP', rule='greater'))

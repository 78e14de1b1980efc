# The schedule of sgd_20k_vit.py in 500 steps, for Flowers (and Pets). No preset of Google's code
# is so short. The warm-up would take all of the steps, so there is none, and the head of zeros
# starts at the full learning rate.
_base_ = './sgd_20k_vit.py'

param_scheduler = [dict(type='CosineAnnealingLR', eta_min=0.0, by_epoch=False, T_max=500)]
train_cfg = dict(max_iters=500, val_interval=100)

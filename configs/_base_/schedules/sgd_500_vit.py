# The same in 500 steps: Flowers (and Pets). No preset of Google's code is so short; without the
# warm-up, which would take all of it, the head of zeros starts at the full rate.
_base_ = './sgd_20k_vit.py'

param_scheduler = [dict(type='CosineAnnealingLR', eta_min=0.0, by_epoch=False, T_max=500)]
train_cfg = dict(max_iters=500, val_interval=100)

# The schedule of sgd_20k_vit.py in 10,000 steps, for CIFAR.
_base_ = './sgd_20k_vit.py'

param_scheduler = [
    dict(type='LinearLR', start_factor=1 / 500, by_epoch=False, end=500),
    dict(type='CosineAnnealingLR', eta_min=0.0, by_epoch=False, T_max=9500, begin=500, end=10_000),
]
train_cfg = dict(max_iters=10_000)

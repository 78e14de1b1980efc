# Training of configs/small_data: AdamW, learning rate 2e-3 for batches of 512, a warm-up of 8
# epochs and a cosine to 1 % of it, no mixing in the last tenth. An average of the weights is
# tested and saved. All of this follows train_cfg.max_epochs. Averaged weights need averaged
# statistics of the batch norms, hence update_buffers. The average begins with a momentum of 10 /
# (10 + step), so that it covers about the last tenth of the steps so far; from step 10,000 on (100
# epochs) it has the momentum below. With the latter alone, two thirds of the random weights at the
# start would remain after 400 steps, and a short training would be tested at chance.
optim_wrapper = dict(
    optimizer=dict(type='AdamW', lr=2e-3, weight_decay=0.05),
    paramwise_cfg=dict(norm_decay_mult=0.0, bias_decay_mult=0.0, flat_decay_mult=0.0),
    clip_grad=dict(max_norm=1.0),
)
param_scheduler = [
    dict(type='WarmupCosineLR', warmup=8, warmup_lr=1e-6, eta_min=2e-5, convert_to_iter_based=True)
]
custom_hooks = [
    dict(
        type='EMAHook',
        ema_type='MomentumAnnealingEMA',
        momentum=1e-3,
        gamma=10,
        update_buffers=True,
        priority='ABOVE_NORMAL',
    ),
    dict(
        type='FractionalSwitchRecipeHook',
        schedule=[dict(action_fraction=0.9, batch_augments=None)],
    ),
]
train_cfg = dict(by_epoch=True, max_epochs=100, val_interval=1)
val_cfg = dict()
test_cfg = dict()
auto_scale_lr = dict(base_batch_size=512)

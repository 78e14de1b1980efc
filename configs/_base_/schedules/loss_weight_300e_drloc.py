# The weight of the localization loss over the epochs as in the released code: up for 20 of 300
# epochs, then down to zero at the last, of which a run of 100 sees the first third.
custom_hooks = [dict(type='LossWeightHook', warmup_epochs=20, total_epochs=300)]

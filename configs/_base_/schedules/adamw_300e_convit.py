# ConViT's schedule: AdamW, 300 epochs, learning rate 5e-4 x batch size / 512. In the official
# multi-GPU runs, the position embedding and the class token had weight decay (the list that
# exempts them never reached the optimizer), so they have it here, too. Gates, biases and norms
# have none.
optim_wrapper = dict(
    optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.05, eps=1e-8, betas=(0.9, 0.999)),
    paramwise_cfg=dict(norm_decay_mult=0.0, bias_decay_mult=0.0, flat_decay_mult=0.0),
)
# lag=1 is the official step timing: the schedule runs one epoch late. It ends with the training.
param_scheduler = [dict(type='WarmupCosineLR', warmup=5, warmup_lr=1e-6, eta_min=1e-5, lag=1)]
train_cfg = dict(by_epoch=True, max_epochs=300, val_interval=1)
val_cfg = dict()
test_cfg = dict()
auto_scale_lr = dict(base_batch_size=1024)

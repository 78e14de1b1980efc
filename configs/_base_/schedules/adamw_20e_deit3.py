# DeiT III's fine-tuning at a higher resolution: AdamW, batch size 512, 20 epochs. In the official
# command the lowest learning rate is also the highest, so after the warm-up it stays at 1e-5.
optim_wrapper = dict(
    optimizer=dict(type='AdamW', lr=1e-5, weight_decay=0.1, betas=(0.9, 0.999), eps=1e-8),
    paramwise_cfg=dict(
        flat_decay_mult=0.0,
        custom_keys={'.cls_token': dict(decay_mult=0.0), '.pos_embed': dict(decay_mult=0.0)},
    ),
)
param_scheduler = [dict(type='WarmupCosineLR', warmup=5, warmup_lr=1e-6, eta_min=1e-5, lag=1)]
train_cfg = dict(by_epoch=True, max_epochs=20, val_interval=1)
val_cfg = dict()
test_cfg = dict()
auto_scale_lr = dict(base_batch_size=512)

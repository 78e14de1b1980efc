# DeiT III from scratch: LAMB, 800 epochs, a learning rate that is not scaled with the batch size
# (2048 for the authors). LAMB itself clips the global gradient norm at 1; nothing else clips. What
# is one-dimensional (norms, biases, LayerScale), the position embedding and the class token have
# no weight decay; LAMB uses no trust ratio for these either. Mixed precision is `--amp` of the
# tools: fp16 with a gradient scaler. The authors keep an average of the weights (decay 0.99996),
# but report the results of the raw weights, so there is no average here.
optim_wrapper = dict(
    optimizer=dict(
        type='Lamb', lr=3e-3, weight_decay=0.05, betas=(0.9, 0.999), eps=1e-8, max_grad_norm=1.0
    ),
    paramwise_cfg=dict(
        flat_decay_mult=0.0,
        custom_keys={'.cls_token': dict(decay_mult=0.0), '.pos_embed': dict(decay_mult=0.0)},
    ),
)
# The cosine is as long as the training. lag=1 is the official step timing: epochs 0 and 1 run at
# 1e-6, epoch e at the value of e - 1.
param_scheduler = [dict(type='WarmupCosineLR', warmup=5, warmup_lr=1e-6, eta_min=1e-5, lag=1)]
train_cfg = dict(by_epoch=True, max_epochs=800, val_interval=1)
val_cfg = dict()
test_cfg = dict()
auto_scale_lr = dict(base_batch_size=2048)

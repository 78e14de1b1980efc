# Transfer to small datasets. All of it is unsourced for DeiT III: the authors published no
# transfer settings and referred to an answer of 2021 about DeiT (facebookresearch/deit #175 to
# #45): SGD with learning rate 0.01, batch size 768, weight decay 1e-4, 1000 epochs, no erasing, no
# drop path, the rest as on ImageNet. Somebody asked there whether this holds here, and got no
# answer. Momentum and its Nesterov form are the defaults of the library that the authors trained
# with.
optim_wrapper = dict(
    optimizer=dict(type='SGD', lr=0.01, weight_decay=1e-4, momentum=0.9, nesterov=True),
    paramwise_cfg=dict(
        flat_decay_mult=0.0,
        custom_keys={'.cls_token': dict(decay_mult=0.0), '.pos_embed': dict(decay_mult=0.0)},
    ),
)
param_scheduler = [dict(type='WarmupCosineLR', warmup=5, warmup_lr=1e-6, eta_min=1e-5, lag=1)]
train_cfg = dict(by_epoch=True, max_epochs=1000, val_interval=10)
val_cfg = dict()
test_cfg = dict()
auto_scale_lr = dict(base_batch_size=768)

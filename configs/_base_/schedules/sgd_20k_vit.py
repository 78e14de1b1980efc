# Fine-tuning of ViT: SGD with momentum 0.9, no weight decay, gradient clip 1.0, batch size 512,
# 20,000 steps, cosine to 0. The paper chooses the learning rate on held-out images from 0.003,
# 0.01, 0.03 and 0.06 (ImageNet) or from 0.001, 0.003, 0.01 and 0.03 (the others); 0.03 and the
# warm-up of 500 steps are the defaults of Google's code.
_base_ = './steps_vit.py'

optim_wrapper = dict(
    optimizer=dict(type='SGD', lr=0.03, momentum=0.9, weight_decay=0.0),
    clip_grad=dict(max_norm=1.0),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=1 / 500, by_epoch=False, end=500),
    dict(
        type='CosineAnnealingLR', eta_min=0.0, by_epoch=False, T_max=19_500, begin=500, end=20_000
    ),
]
train_cfg = dict(by_epoch=False, max_iters=20_000, val_interval=2000)
auto_scale_lr = dict(base_batch_size=512)

# Pre-training of ViT on ImageNet-1k: Adam, learning rate 3e-3, weight decay 0.3, batch size 4096,
# gradient clip 1.0, 300 epochs counted in steps, of which 10,000 are a linear warm-up, then a
# cosine to 0. The weight decay is that of AdamW, relative to the learning rate, for all tensors,
# as in flax.optim.Adam (from memory, its code was not read).
_base_ = './steps_vit.py'

optim_wrapper = dict(
    optimizer=dict(type='AdamW', lr=3e-3, betas=(0.9, 0.999), weight_decay=0.3),
    clip_grad=dict(max_norm=1.0),
)
max_iters = 300 * 1_281_167 // 4096
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-4, by_epoch=False, end=10_000),
    dict(
        type='CosineAnnealingLR',
        eta_min=0.0,
        by_epoch=False,
        T_max=max_iters - 10_000,
        begin=10_000,
        end=max_iters,
    ),
]
train_cfg = dict(by_epoch=False, max_iters=max_iters, val_interval=5000)
auto_scale_lr = dict(base_batch_size=4096)

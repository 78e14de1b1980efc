# Pre-training of ViT on ImageNet-21k: learning rate 1e-3, weight decay 0.03, 90 epochs of
# 14,197,122 images (the complete release; unsourced), linear decay to 1e-5 (this end is that of
# Google's code). The paper names no gradient clipping for it.
_base_ = './adam_300e_vit.py'

optim_wrapper = dict(
    _delete_=True,
    optimizer=dict(type='AdamW', lr=1e-3, betas=(0.9, 0.999), weight_decay=0.03),
)
max_iters = 90 * 14_197_122 // 4096
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-4, by_epoch=False, end=10_000),
    dict(
        type='PolyLR',
        power=1.0,
        eta_min=1e-5,
        by_epoch=False,
        begin=10_000,
        end=max_iters,
    ),
]
train_cfg = dict(max_iters=max_iters)

# CIFAR-10 at 32 px: a ConViT-Ti with patches of 4 (8 x 8 tokens) and the dense relative
# localization loss, from scratch, 200 epochs. The host's dataset is downloaded to data/cifar10;
# --data-root also takes the images as class folders (train/, test/).
#
#   python tools/train.py configs/convit_drloc_cifar.py
#   bash tools/dist_train.sh configs/convit_drloc_cifar.py 4 --amp
#
# Not trained by us to the end (no GPU). For two CPU cores there is convit_drloc_cifar_short.py.
_base_ = [
    '_base_/models/convit.py',
    '_base_/datasets/cifar10_32_batch.py',
    '_base_/default_runtime.py',
]

model = dict(
    backbone=dict(img_size=32, patch_size=4, out_type='raw'),
    head=dict(
        _delete_=True,
        type='DRLocHead',
        in_channels=192,
        patch_size=4,
        loss_weight=0.1,
        head=dict(_base_.model.head, num_classes=10),
    ),
)

optim_wrapper = dict(
    optimizer=dict(type='AdamW', lr=6e-4, weight_decay=0.05),
    paramwise_cfg=dict(norm_decay_mult=0.0, bias_decay_mult=0.0, flat_decay_mult=0.0),
    clip_grad=dict(max_norm=5.0),
)
param_scheduler = [
    dict(
        type='WarmupCosineLR', warmup=10, warmup_lr=1e-6, eta_min=1e-5, convert_to_iter_based=True
    )
]
train_cfg = dict(by_epoch=True, max_epochs=200, val_interval=1)
val_cfg = dict()
test_cfg = dict()
auto_scale_lr = dict(base_batch_size=128)

# CIFAR-10 has no validation images: the test images are evaluated, but they choose nothing.
default_hooks = dict(checkpoint=dict(save_best=None))

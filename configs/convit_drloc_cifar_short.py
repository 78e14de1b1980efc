# The CIFAR-10 recipe cut down for two CPU cores: one epoch of crops and flips, without the
# mixing and the heavy augmentation that pay off in two hundred.
#
#   python tools/train.py configs/convit_drloc_cifar_short.py --amp
#
# Seen with --data-root on the images as class folders, a fifth of train/ for validation: 40.3 %
# validation accuracy after 22 minutes on one busy core (OMP_NUM_THREADS=1), drloc_raw 0.332 where
# a constant guess stays at 0.391.
_base_ = './convit_drloc_cifar.py'

model = dict(train_cfg=dict(_delete_=True))
data_preprocessor = dict(
    batch_transforms=[
        dict(type='BatchSimpleRandomCrop', crop_size=32, padding=4, flip_prob=0.5),
    ]
)
train_dataloader = dict(batch_size=32)
param_scheduler = [
    dict(
        type='WarmupCosineLR',
        warmup=0.1,
        warmup_lr=1e-5,
        eta_min=1e-5,
        convert_to_iter_based=True,
    )
]
train_cfg = dict(max_epochs=1)
default_hooks = dict(logger=dict(interval=50))

# The CIFAR-10 recipe shortened for two CPU cores: one epoch with crops and flips, without the
# mixing and the strong augmentation, which help only in a training of two hundred epochs.
#
#   python tools/train.py configs/convit_drloc_cifar_short.py --amp
#
# Result with --data-root on the images as class folders, a fifth of train/ for validation: 40.3 %
# validation accuracy after 22 minutes on one busy core (OMP_NUM_THREADS=1). drloc_raw is 0.332;
# the best constant guess has 0.391.
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

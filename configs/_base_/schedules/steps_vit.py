# What the schedules of ViT share: all of them count steps and keep the last checkpoint.
_base_ = '../default_runtime.py'

val_cfg = dict()
test_cfg = dict()
default_hooks = dict(
    checkpoint=dict(by_epoch=False, interval=5000, save_best=None),
    logger=dict(log_metric_by_epoch=False),
)
log_processor = dict(by_epoch=False)

# IRT's schedule: AdamW, learning rate 3e-5, weight decay 5e-4, batches of 64; 35,000 iterations
# for Stanford Online Products and In-Shop. The paper names no warm-up and no decay of the learning
# rate (constant here), and no weights without weight decay (none here).
_base_ = '../default_runtime.py'

optim_wrapper = dict(optimizer=dict(type='AdamW', lr=3e-5, weight_decay=5e-4))
train_cfg = dict(by_epoch=False, max_iters=35000, val_interval=5000)
val_cfg = dict()
test_cfg = dict()
auto_scale_lr = dict(base_batch_size=64)

# The test classes are evaluated, but they choose nothing: the last iteration is the result.
default_hooks = dict(
    checkpoint=dict(by_epoch=False, interval=5000, save_best=None),
    logger=dict(log_metric_by_epoch=False),
)
log_processor = dict(by_epoch=False)

# Low resolution first: a small DeiT III model learns handwritten digits at 16 px in seconds, for
# deit3-dim64-p4_ft-1xb64-5e_digits-24px.py to go on with at 24 px. LAMB, binary cross-entropy and
# simple random crop as in the large recipes; no flip and no 3-Augment, for digits.
#
#   python tools/train.py configs/deit3/deit3-dim64-p4_1xb64-30e_digits-16px.py
#
# Seen: 96.10 % of the test images, the same with randomness.seed=1; 36 s of CPU time. The learning
# rate, of 0.01, 0.02 and 0.03, was chosen on the part split='val'.
_base_ = [
    '../_base_/models/deit3.py',
    '../_base_/datasets/digits.py',
    '../_base_/schedules/lamb_800e_deit3.py',
    '../_base_/default_runtime.py',
]

size = 16
arch = dict(embed_dims=64, num_layers=4, num_heads=4, feedforward_channels=256)
model = dict(
    backbone=dict(_delete_=True, type='DeiT3ViT', arch=arch, img_size=size, patch_size=4),
    head=dict(num_classes=10, in_channels=64),
    train_cfg=dict(_delete_=True),
)

train_pipeline = [
    dict(type='SimpleRandomCrop', crop_size=size, padding=2),
    dict(type='PackInputs'),
]
test_pipeline = [
    dict(type='Resize', scale=(size, size), interpolation='bicubic'),
    dict(type='PackInputs'),
]
train_dataloader = dict(
    num_workers=0, persistent_workers=False, dataset=dict(pipeline=train_pipeline)
)
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))

optim_wrapper = dict(optimizer=dict(lr=3e-2))
train_cfg = dict(max_epochs=30)
auto_scale_lr = dict(base_batch_size=64)

# The test images are evaluated, but they choose nothing: the last epoch counts.
default_hooks = dict(checkpoint=dict(interval=30, save_best=None))

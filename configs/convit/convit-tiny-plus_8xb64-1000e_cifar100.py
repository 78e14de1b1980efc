# ConViT-Ti+ from scratch on CIFAR-100 enlarged to 224 px, 1000 epochs of the ImageNet recipe.
#
#   bash tools/dist_train.sh configs/convit/convit-tiny-plus_8xb64-1000e_cifar100.py 8 --amp
#
# Published: 82.1 % top-1 as the best of a longer run. Not trained by us (no GPU node).
_base_ = [
    '../_base_/models/convit.py',
    '../_base_/datasets/cifar100_224.py',
    '../_base_/schedules/adamw_300e_convit.py',
    '../_base_/default_runtime.py',
]

model = dict(backbone=dict(arch='tiny-plus'), head=dict(num_classes=100, in_channels=256))
train_dataloader = dict(
    batch_size=64, sampler=dict(type='RepeatAugSampler', num_repeats=3, shuffle=True)
)

optim_wrapper = dict(optimizer=dict(lr=4e-4))
train_cfg = dict(max_epochs=1000, val_interval=10)
auto_scale_lr = dict(base_batch_size=512)

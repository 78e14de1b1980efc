# Your own photos, starting from a ConViT-Ti trained on ImageNet-1k, at its 224 px. With only 2,000
# photos this is the better recipe. The classifier is new, and early layers learn slower.
#
#   python tools/train.py configs/convit_drloc_folder_finetune.py --data-root DIR \
#       --pretrained convit-tiny_3rdparty_in1k
#
# --pretrained also takes a file: the official .pth, timm's .safetensors, or a checkpoint of this
# package. For another model size, add --cfg-options model.backbone.arch=small
# model.head.in_channels=432 model.head.head.in_channels=432.
#
# Not trained by us and not tuned (no GPU, and no published weights available). An image takes
# three times as long as at 128 px, and there are 30 epochs instead of 100.
_base_ = './convit_drloc_folder.py'

from_scratch = 'configs/convit_drloc_folder.py'  # --pretrained is asked for, or this recipe

size = 224
model = dict(backbone=dict(img_size=size), head=dict(loss_grid_size=(7, 7)))

train_pipeline = [*_base_.train_pipeline]
train_pipeline[1] = dict(train_pipeline[1], scale=size, crop_ratio_range=(0.4, 1.0))
test_pipeline = [*_base_.test_pipeline]
test_pipeline[1] = dict(test_pipeline[1], scale=size * 8 // 7)
test_pipeline[2] = dict(test_pipeline[2], crop_size=size)
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))

# a tenth of the learning rate from scratch for the classifier, less for each layer below it
optim_wrapper = dict(optimizer=dict(lr=2e-4))
param_scheduler = [
    dict(
        type='WarmupCosineLR',
        warmup=2,
        warmup_lr=1e-6,
        eta_min=1e-6,
        convert_to_iter_based=True,
    )
]
train_cfg = dict(max_epochs=30)

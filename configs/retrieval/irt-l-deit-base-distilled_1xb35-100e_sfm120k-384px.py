# IRT_L: distilled DeiT-B on SfM-120k, tested on Revisited Oxford, at 384 px. The paper does not
# say which token it takes of a distilled model: the class token here.
#
#   python tools/train.py configs/retrieval/irt-l-deit-base-distilled_1xb35-100e_sfm120k-384px.py
#
# The paper, mAP Medium / Hard: Oxford 50.5 % / 22.7 %, Paris 70.6 % / 47.4 %. Not trained by us
# (no data).
_base_ = './irt-l-deit-small_1xb35-100e_sfm120k.py'

pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='CropToBox'),
    dict(type='Resize', scale=(384, 384), backend='pillow', interpolation='bicubic'),
    dict(type='PackInputs', meta_keys=('sample_idx', 'img_path', 'role', 'image_idx')),
]
train_dataloader = dict(dataset=dict(pipeline=pipeline))
val_dataloader = dict(dataset=dict(pipeline=pipeline))
test_dataloader = dict(dataset=dict(pipeline=pipeline))
custom_hooks = [
    dict(type='HardNegativeMiningHook', pipeline=pipeline, batch_size=64, num_workers=8)
]

model = dict(
    backbone=dict(type='DistilledVisionTransformer', arch='deit-base', img_size=384),
    init_cfg=dict(
        checkpoint='https://dl.fbaipublicfiles.com/deit/deit_base_distilled_patch16_384-d0272ac0.pth'
    ),
)

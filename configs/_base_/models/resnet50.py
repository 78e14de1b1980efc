# ResNet-50 with the regularisation of the other nets that DRLoc compares.
model = dict(
    type='ImageClassifier',
    backbone=dict(type='ResNet', depth=50),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(
        type='LinearClsHead',
        num_classes=1000,
        in_channels=2048,
        loss=dict(type='LabelSmoothLoss', label_smooth_val=0.1, mode='original'),
    ),
    train_cfg=dict(augments=[dict(type='Mixup', alpha=0.8), dict(type='CutMix', alpha=1.0)]),
)

# For configs/drloc. The weight of the loss is the default of the released code. The pre-trained
# weights are OpenMMLab's.
drloc = dict(
    neck=None,
    head=dict(
        type='DRLocHead',
        in_channels=2048,
        num_extra_tokens=0,
        neck=model['neck'],
        loss_weight=0.5,
    ),
)
drloc_official = dict(preset='official')
pretrained = dict(
    type='Pretrained',
    checkpoint='https://download.openmmlab.com/mmclassification/v0/resnet/resnet50_8xb32_in1k_20210831-ea4938fc.pth',
    prefix='backbone.',
)

# As photos64_classifier.py, with a ResNet-18 of less than half the usual width.
_base_ = ['./photos64_classifier.py']

model = dict(
    backbone=dict(
        _delete_=True,
        type='ResNet',
        depth=18,
        stem_channels=24,
        base_channels=24,
        out_indices=(3,),
    ),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(_delete_=True, type='LinearClsHead', num_classes=_base_.classes, in_channels=192),
)

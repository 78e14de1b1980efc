# The model of deit3.py with softmax and smoothed labels, for DeiT III's fine-tuning and all of its
# training on ImageNet-21k.
_base_ = './deit3.py'

model = dict(
    head=dict(
        type='VisionTransformerClsHead',
        loss=dict(_delete_=True, type='LabelSmoothLoss', label_smooth_val=0.1, mode='original'),
    ),
)

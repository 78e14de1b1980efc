# Training on ImageNet-1k, test on ImageNet-V2 (matched frequency): 10,000 images in folders that
# are named by class number. To test another recipe of ImageNet-1k like this, inherit from it and
# end the config as this one ends.
_base_ = './imagenet_224.py'

test_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='ImageNetV2',
        data_root='data/imagenetv2-matched-frequency-format-val',
        pipeline=_base_.test_pipeline,
    ),
)

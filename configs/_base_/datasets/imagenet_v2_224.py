# ImageNet-1k to train, ImageNet-V2 (matched frequency) to test: 10,000 images in folders that are
# named by class number. A recipe of ImageNet-1k is tested so by a config that inherits it and ends
# as this one does.
_base_ = './imagenet_224.py'

test_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='ImageNetV2',
        data_root='data/imagenetv2-matched-frequency-format-val',
        pipeline=_base_.test_pipeline,
    ),
)

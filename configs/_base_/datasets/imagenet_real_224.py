# ImageNet-1k, tested with the reassessed labels in addition to its own. data/imagenet/real.json is
# https://raw.githubusercontent.com/google-research/reassessed-imagenet/master/real.json.
# To test another recipe of ImageNet-1k like this, inherit from it and end the config as this one
# ends.
_base_ = './imagenet_224.py'

test_evaluator = [
    dict(type='Accuracy', topk=(1, 5)),
    dict(type='ReaLAccuracy', real_json='data/imagenet/real.json'),
]

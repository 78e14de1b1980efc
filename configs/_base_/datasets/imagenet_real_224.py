# ImageNet-1k, tested with the reassessed labels beside its own: data/imagenet/real.json is
# https://raw.githubusercontent.com/google-research/reassessed-imagenet/master/real.json.
# A recipe of ImageNet-1k is tested so by a config that inherits it and ends as this one does.
_base_ = './imagenet_224.py'

test_evaluator = [
    dict(type='Accuracy', topk=(1, 5)),
    dict(type='ReaLAccuracy', real_json='data/imagenet/real.json'),
]

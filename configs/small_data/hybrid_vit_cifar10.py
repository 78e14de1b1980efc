# configs/small_data/hybrid_convit_cifar10.py with plain attention in all six layers: what it loses
# or gains against that is what GPSA is worth behind a convolutional stem.
#
#   python tools/train.py configs/small_data/hybrid_vit_cifar10.py --amp
#
# Not trained by us (no GPU).
_base_ = './hybrid_convit_cifar10.py'

model = dict(backbone=dict(num_local_layers=0))

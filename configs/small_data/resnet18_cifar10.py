# The convnet that the hybrids of this folder must beat: ResNet-18 for 32 px (a 3 x 3 convolution
# of stride 1 first, no pooling), 11.2M parameters, 0.56 GMACs, trained as they are.
#
#   python tools/train.py configs/small_data/resnet18_cifar10.py --amp
#
# Not trained by us (no GPU).
_base_ = './hybrid_convit_cifar10.py'

model = dict(
    backbone=dict(_delete_=True, type='ResNet_CIFAR', depth=18),
    neck=dict(_delete_=True, type='GlobalAveragePooling'),
    head=dict(in_channels=512),
)

# The convolutional network that IRT compares with: ResNet-50 with 2048 dimensions and
# torchvision's first weights. The paper does not say how its map is pooled for this task; here it
# is averaged.
_base_ = './irt_deit_small.py'

model = dict(
    backbone=dict(_delete_=True, type='ResNet', depth=50),
    neck=dict(mode='avg'),
    init_cfg=dict(checkpoint='https://download.pytorch.org/models/resnet50-0676ba61.pth'),
)

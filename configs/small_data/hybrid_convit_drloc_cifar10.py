# configs/small_data/hybrid_convit_cifar10.py with the dense relative localization loss at weight
# 0.1 on its 8 x 8 tokens; the classification is the same, and so is what is deployed.
#
#   python tools/train.py configs/small_data/hybrid_convit_drloc_cifar10.py --amp
#
# Not trained by us (no GPU).
_base_ = './hybrid_convit_cifar10.py'

model = dict(
    neck=None,
    head=dict(_delete_=True, **_base_.drloc.head, head=_base_.model.head),
)

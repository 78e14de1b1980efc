# The compact convolutional transformer that the hybrids of this folder must beat: CCT-6/3x1, 3.2M
# parameters, of the published sizes the one nearest to their multiplications (1.01 GMACs, they
# have 0.84), trained as they are.
#
#   python tools/train.py configs/small_data/cct_cifar10.py --amp
#
# Not trained by us (no GPU).
_base_ = [
    '../_base_/models/cct.py',
    '../_base_/datasets/cifar10_trivial_32.py',
    '../_base_/schedules/adamw_100e_small_data.py',
    '../_base_/default_runtime.py',
]

# CIFAR-10 has no validation images: the test images are evaluated, but they choose nothing.
default_hooks = dict(checkpoint=dict(save_best=None))

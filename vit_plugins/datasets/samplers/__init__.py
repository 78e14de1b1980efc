"""Samplers, which define the order and the frequency of the images in an epoch."""

from .class_balanced_sampler import ClassBalancedSampler
from .m_per_class_sampler import MPerClassSampler
from .tuple_sampler import TupleSampler

__all__ = [
    'ClassBalancedSampler',
    'MPerClassSampler',
    'TupleSampler',
]

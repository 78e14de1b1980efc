from .batch_compose import BatchCompose
from .batch_random_flip import BatchRandomFlip
from .batch_simple_random_crop import BatchSimpleRandomCrop
from .batch_three_augment import BatchThreeAugment

__all__ = [
    'BatchCompose',
    'BatchRandomFlip',
    'BatchSimpleRandomCrop',
    'BatchThreeAugment',
]

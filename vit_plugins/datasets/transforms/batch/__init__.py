from .batch_compose import BatchCompose
from .batch_rand_augment import BatchRandAugment
from .batch_random_erasing import BatchRandomErasing
from .batch_random_flip import BatchRandomFlip
from .batch_random_resized_crop import BatchRandomResizedCrop
from .batch_simple_random_crop import BatchSimpleRandomCrop
from .batch_three_augment import BatchThreeAugment
from .batch_trivial_augment import BatchTrivialAugment

__all__ = [
    'BatchCompose',
    'BatchRandAugment',
    'BatchRandomErasing',
    'BatchRandomFlip',
    'BatchRandomResizedCrop',
    'BatchSimpleRandomCrop',
    'BatchThreeAugment',
    'BatchTrivialAugment',
]

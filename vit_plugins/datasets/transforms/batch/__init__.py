from .batch_compose import BatchCompose
from .batch_random_erasing import BatchRandomErasing
from .batch_random_flip import BatchRandomFlip
from .batch_random_resized_crop import BatchRandomResizedCrop
from .batch_simple_random_crop import BatchSimpleRandomCrop
from .batch_three_augment import BatchThreeAugment

__all__ = [
    'BatchCompose',
    'BatchRandomErasing',
    'BatchRandomFlip',
    'BatchRandomResizedCrop',
    'BatchSimpleRandomCrop',
    'BatchThreeAugment',
]

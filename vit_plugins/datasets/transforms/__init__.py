from .simple_random_crop import SimpleRandomCrop
from .three_augment import ThreeAugment

__all__ = ['SimpleRandomCrop', 'ThreeAugment']

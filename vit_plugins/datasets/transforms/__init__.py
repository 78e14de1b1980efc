from . import batch  # noqa: F401  (registration)
from .crop_to_box import CropToBox
from .simple_random_crop import SimpleRandomCrop
from .three_augment import ThreeAugment

__all__ = [
    'CropToBox',
    'SimpleRandomCrop',
    'ThreeAugment',
]

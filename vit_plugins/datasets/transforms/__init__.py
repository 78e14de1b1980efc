from . import batch  # noqa: F401  (registration)
from .crop_to_box import CropToBox
from .load_photo import LoadPhoto
from .simple_random_crop import SimpleRandomCrop
from .three_augment import ThreeAugment

__all__ = [
    'CropToBox',
    'LoadPhoto',
    'SimpleRandomCrop',
    'ThreeAugment',
]

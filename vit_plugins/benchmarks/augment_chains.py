"""Build chains of crop, flip, 3-Augment and jitter: ours and those of peers."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import torch
from mmcv.transforms import Compose
from mmengine.registry import DefaultScope
from mmpretrain.registry import TRANSFORMS
from PIL import Image, ImageFilter
from torch import Tensor
from torchvision import transforms as T
from torchvision.transforms import v2

PADDING = 4
BICUBIC = T.InterpolationMode.BICUBIC
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
OTHER = 'draws and pads in its own way: only the time is compared'


def compose(transforms: Sequence[dict]) -> Compose:
    """Build transforms of MMPretrain.

    Args:
        transforms: The configs of the transforms.
    """
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        return Compose([TRANSFORMS.build(transform) for transform in transforms])


def our_transforms(size: int, backend: str = 'torch') -> list[dict]:
    """Return our transforms, as in the recipes.

    Args:
        size: Side of the crop.
        backend: The backend of the resize.
    """
    return [
        dict(type='SimpleRandomCrop', crop_size=size, padding=PADDING, backend=backend),
        dict(type='ThreeAugment', flip_prob=0.5),
    ]


def host_transforms(size: int) -> list[dict]:
    """Return MMPretrain's transforms; its ``RandomCrop`` pads zeros in every padding mode.

    Args:
        size: Side of the crop.
    """
    blur = dict(magnitude_range=(0.1, 2.0), magnitude_std='inf')
    members = [
        dict(type='RandomGrayscale', prob=1.0, keep_channels=True),
        dict(type='Solarize', thr=128, prob=1.0),
        dict(type='GaussianBlur', prob=1.0, **blur),
    ]
    return [
        dict(type='ResizeEdge', scale=size, backend='pillow', interpolation='bicubic'),
        dict(type='RandomCrop', crop_size=size, padding=PADDING),
        dict(type='RandomFlip', prob=0.5),
        dict(type='RandomChoice', transforms=[[member] for member in members]),
        # its other backend warns at each image that Pillow removed the mode argument
        dict(type='ColorJitter', brightness=0.3, contrast=0.3, saturation=0.3, backend='cv2'),
    ]


def official_chain(size: int, to_float: bool) -> Callable[[Image.Image], Tensor]:
    """Return the authors' chain of torchvision and Pillow.

    Args:
        size: Side of the crop.
        to_float: Whether to end in normalised float, as the authors do, instead of uint8.
    """
    ends = [T.ToTensor(), T.Normalize(MEAN, STD)] if to_float else [T.PILToTensor()]
    blur = T.Lambda(lambda img: img.filter(ImageFilter.GaussianBlur(random.uniform(0.1, 2.0))))
    return T.Compose(
        [
            T.Resize(size, BICUBIC),
            T.RandomCrop(size, PADDING, padding_mode='reflect'),
            T.RandomHorizontalFlip(),
            T.RandomChoice([T.Grayscale(3), T.RandomSolarize(128, p=1.0), blur]),
            T.ColorJitter(0.3, 0.3, 0.3),
            *ends,
        ]
    )


def torchvision_chain(size: int) -> v2.Compose:
    """Return the authors' chain in torchvision's transforms of tensors.

    Args:
        size: Side of the crop.
    """
    blur = v2.GaussianBlur(13, (0.1, 2.0))
    return v2.Compose(
        [
            v2.Resize(size, v2.InterpolationMode.BICUBIC, antialias=True),
            v2.RandomCrop(size, PADDING, padding_mode='reflect'),
            v2.RandomHorizontalFlip(),
            v2.RandomChoice([v2.Grayscale(3), v2.RandomSolarize(128, 1.0), blur]),
            v2.ColorJitter(0.3, 0.3, 0.3),
        ]
    )


def kornia_chain(size: int) -> Callable[[Tensor], Tensor]:
    """Return a similar chain in kornia, which computes in float and cannot choose per image.

    Args:
        size: Side of the crop.
    """
    import kornia.augmentation as K

    chain = torch.nn.Sequential(
        K.Resize(size, resample='bicubic', antialias=True),
        K.RandomCrop((size, size), padding=PADDING, padding_mode='reflect'),
        K.RandomHorizontalFlip(),
        K.RandomGrayscale(p=1 / 3),
        K.RandomSolarize(0.0, 0.0, p=1 / 3),
        K.RandomGaussianBlur((13, 13), (0.1, 2.0), p=1 / 3),
        K.ColorJitter(0.3, 0.3, 0.3, p=1.0),
    )
    return lambda images: chain(images.float() / 255)

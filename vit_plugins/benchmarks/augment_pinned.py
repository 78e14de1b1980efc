"""3-Augment with given random parameters, so that the pixels of two chains can be compared."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image, ImageFilter, ImageOps
from torch import Tensor
from torchvision.transforms import functional as TF

from ..datasets.transforms.batch import BatchSimpleRandomCrop, BatchThreeAugment
from ..datasets.transforms.batch.batch_simple_random_crop import BatchSimpleRandomCropParams
from ..datasets.transforms.batch.batch_three_augment import (
    NAMES,
    STEPS,
    BatchThreeAugmentParams,
)
from ..datasets.transforms.simple_random_crop import SimpleRandomCropParams, simple_random_crop
from ..datasets.transforms.three_augment import ThreeAugmentParams, three_augment
from .augment_chains import BICUBIC, PADDING

Draw = tuple[SimpleRandomCropParams, ThreeAugmentParams]
BatchDraw = tuple[BatchSimpleRandomCropParams, BatchThreeAugmentParams]


def sample_draws(number: int, shape: tuple[int, int], size: int) -> tuple[BatchDraw, list[Draw]]:
    """Sample crops and augmentations, for a batch and the same for one image at a time.

    Args:
        number: Number of images.
        shape: (height, width) of the images.
        size: Side of the crops.
    """
    numbers = np.random.default_rng(0).random((number, 10))
    window = BatchSimpleRandomCrop(size, PADDING).sample(numbers[:, :3], shape)
    three = BatchThreeAugment(flip_prob=0.5).sample(numbers[:, 3:], (size, size))
    draws = []
    for k in range(number):
        place = (int(window.top[k]) + PADDING, int(window.left[k]) + PADDING)
        crop = SimpleRandomCropParams(window.scaled_shape, PADDING, *place, size)
        names = [STEPS[step] for step in three.steps[k]]
        jitter = tuple(zip(names, three.factors[k].tolist(), strict=True))
        member, radius = NAMES[three.member[k]], float(three.radius[k])
        flip = bool(three.flip[k])
        draws.append((crop, ThreeAugmentParams(member, three.threshold, radius, jitter, flip)))
    return (window, three), draws


def our_pinned(image: np.ndarray, draw: Draw) -> Tensor:
    """Return the output of our chain for an image and its parameters, uint8 (3, S, S).

    Args:
        image: The image in BGR.
        draw: The parameters of one image from :func:`sample_draws`.
    """
    done = three_augment(simple_random_crop(image, draw[0]), draw[1])
    return torch.from_numpy(np.ascontiguousarray(done)).permute(2, 0, 1)


def official_pinned(image: Image.Image, draw: Draw) -> Tensor:
    """Return the output of the authors' chain for an image and its parameters, in BGR like ours.

    Args:
        image: The image in RGB.
        draw: The parameters of one image from :func:`sample_draws`.
    """
    crop, params = draw
    image = TF.resize(image, min(crop.scaled_shape), BICUBIC)
    image = TF.pad(image, PADDING, padding_mode='reflect')
    image = TF.crop(image, crop.top, crop.left, crop.size, crop.size)
    image = TF.hflip(image) if params.flip else image
    if params.member == 'grayscale':
        image = TF.to_grayscale(image, 3)
    elif params.member == 'solarize':
        image = ImageOps.solarize(image, params.threshold)
    else:
        image = image.filter(ImageFilter.GaussianBlur(params.radius))
    for name, factor in params.jitter:
        image = getattr(TF, f'adjust_{name}')(image, factor)
    return TF.pil_to_tensor(image).flip(0)

"""Time 3-Augment with the simple random crop: on JPEG files, arrays and whole batches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from io import BytesIO
from typing import Any

import cv2
import numpy as np
import torch
from mmpretrain.registry import MODELS
from PIL import Image
from torch import Tensor

from ..datasets.photo_decoding import decode_photo
from .augment_batches import batch_sides
from .augment_chains import (
    MEAN,
    OTHER,
    STD,
    compose,
    host_transforms,
    official_chain,
    our_transforms,
)
from .augment_pinned import official_pinned, our_pinned, sample_draws
from .comparison import Comparison, Side
from .sample_images import as_jpeg, natural_image
from .setting import Setting

# (source, height, width, side of the crop, images)
SINGLE = (('JPEG', 375, 500, 224, 12), ('JPEG', 1500, 2000, 224, 4), ('array', 256, 256, 224, 12))
BATCHES = (('batch', 32, 32, 32, 512), ('batch', 256, 256, 224, 64))
SOURCES = {
    'toy': (('JPEG', 130, 160, 32, 3), ('array', 40, 40, 32, 3), ('batch', 32, 32, 32, 3)),
    'cpu': SINGLE + BATCHES,
    'gpu': BATCHES,
    'large': (('batch', 32, 32, 32, 4096), ('batch', 256, 256, 224, 512)),
    'scaling': tuple(('JPEG', 3 * k, 4 * k, 224, 4) for k in (125, 250, 500, 1000)),
}
# Relative to the norm of the pixels: resize and blur differ from Pillow's by tenths of a level.
TOLERANCE = 0.02
REDUCED = 'ours, least_side'  # LoadPhoto's argument, set to twice the side of the crop
Source = bytes | np.ndarray


def cases(size: str) -> dict[str, dict[str, Any]]:
    """Return the name of each case and its arguments.

    Args:
        size: A size of :class:`Setting`.
    """
    names = ('source', 'height', 'width', 'crop', 'images')
    return {_name(*row): dict(zip(names, row, strict=True)) for row in SOURCES[size]}


def _name(source: str, height: int, width: int, crop: int, images: int) -> str:
    of = f'batch of {images}' if source == 'batch' else source
    return f'SRC + 3-Augment, {of} {width} x {height} to {crop} px'


def build(
    setting: Setting, *, source: str, height: int, width: int, crop: int, images: int
) -> Comparison:
    """Return the chains; all start from the same pixels.

    Args:
        setting: The device, for batches only; files and arrays are augmented on the CPU.
        source: 'JPEG', 'array' or 'batch'.
        height: Height of the images.
        width: Width of the images.
        crop: Side of the crop.
        images: Number of images in a call.
    """
    cv2.setNumThreads(0)
    name = _name(source, height, width, crop, images)
    photos = [natural_image(height, width, seed) for seed in range(min(images, 8))]
    if source == 'batch':
        sides, missing = batch_sides(setting, photos, crop, images)
    else:
        sides, missing = _single_sides(photos, source, crop, images), {}
    return Comparison(name, sides, TOLERANCE, images=images, missing=missing)


def _single_sides(
    photos: list[np.ndarray], source: str, crop: int, images: int
) -> dict[str, Side]:
    sources: list[Source] = [as_jpeg(p) for p in photos] if source == 'JPEG' else photos
    sources = [sources[k % len(photos)] for k in range(images)]
    ours = _pipeline(our_transforms(crop))
    scale = dict(mean=[255 * m for m in MEAN], std=[255 * s for s in STD], to_rgb=True)
    normalise = MODELS.build(dict(type='mmpretrain.ClsDataPreprocessor', **scale))
    official = {end: official_chain(crop, end == 'float') for end in ('float', 'uint8')}
    calls: dict[str, Callable[[Source], Any]] = {
        'ours': ours,
        'official': lambda item: official['float'](_pillow(item)),
        'official, uint8': lambda item: official['uint8'](_pillow(item)),
        'ours, float': lambda item: normalise({'inputs': [ours(item)]}),
        'ours, resize by Pillow': _pipeline(our_transforms(crop, 'pillow')),
        'mmpretrain': _pipeline(host_transforms(crop)),
    }
    _, draws = sample_draws(images, photos[0].shape[:2], crop)
    pinned = {
        'ours': lambda item, draw: our_pinned(_bgr(item), draw),
        'official': lambda item, draw: official_pinned(_pillow(item), draw),
    }
    if source == 'JPEG' and min(photos[0].shape[:2]) >= 4 * crop:  # otherwise nothing is reduced
        calls[REDUCED] = _pipeline(our_transforms(crop), 2 * crop)
        pinned[REDUCED] = lambda item, draw: our_pinned(_bgr(item, 2 * crop), draw)
    outputs = {
        name: lambda pin=pin: [torch.stack([*map(pin, sources, draws)]).float()]
        for name, pin in pinned.items()
    }
    return {
        name: Side(_each(call, sources), outputs.get(name), about='' if name in outputs else OTHER)
        for name, call in calls.items()
    }


def _each(call: Callable[[Source], Any], sources: Sequence[Source]) -> Callable[[], Any]:
    return lambda: [call(item) for item in sources]


def _bgr(item: Source, least_side: int | None = None) -> np.ndarray:
    if isinstance(item, bytes):
        return decode_photo(item, least_side=least_side)[0]
    return item[:, :, ::-1]


def _pillow(item: Source) -> Image.Image:
    if isinstance(item, bytes):
        return Image.open(BytesIO(item)).convert('RGB')
    return Image.fromarray(item)


def _pipeline(transforms: list[dict], least_side: int | None = None) -> Callable[[Source], Tensor]:
    chain = compose([*transforms, dict(type='PackInputs')])

    def run(item: Source) -> Tensor:
        # an array costs all sides the same in either channel order
        img = _bgr(item, least_side) if isinstance(item, bytes) else item
        return chain({'img': img})['inputs']

    return run

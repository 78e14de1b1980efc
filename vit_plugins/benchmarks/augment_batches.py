"""Build the sides of 3-Augment that augment whole batches, on a CPU or a GPU."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

import numpy as np
import torch
from mmengine.registry import DefaultScope
from mmpretrain.registry import BATCH_AUGMENTS
from torch import Tensor

from ..datasets.seeds import image_seeds
from ..datasets.transforms.batch.batch_simple_random_crop import batch_simple_random_crop
from ..datasets.transforms.batch.batch_three_augment import batch_three_augment
from .augment_chains import OTHER, compose, kornia_chain, our_transforms, torchvision_chain
from .augment_pinned import our_pinned, sample_draws
from .comparison import Side
from .setting import Setting


def batch_sides(
    setting: Setting, photos: list[np.ndarray], crop: int, images: int
) -> tuple[dict[str, Side], dict[str, str]]:
    """Return the sides that augment a batch, and the peers that are missing.

    Args:
        setting: The device; the side with one image at a time is left out on a GPU.
        photos: RGB images of one size, repeated to fill the batch.
        crop: Side of the crop.
        images: Number of images in the batch.
    """
    one_by_one = np.stack([photos[k % len(photos)] for k in range(images)])
    batch = torch.from_numpy(one_by_one).permute(0, 3, 1, 2).contiguous().to(setting.device)
    (window, three), draws = sample_draws(images, photos[0].shape[:2], crop)

    def ours() -> list[Tensor]:
        return [batch_three_augment(batch_simple_random_crop(batch, window), three).float()]

    def single() -> list[Tensor]:
        return [torch.stack([*map(our_pinned, one_by_one, draws)]).float()]

    sides = {'ours': Side(_next_epoch(batch, crop), ours)}
    if not setting.is_cuda:
        chain = compose(our_transforms(crop))
        sides['ours, one at a time'] = Side(_one_at_a_time(chain, one_by_one), single)
    v2_chain = torchvision_chain(crop)
    others: dict[str, Callable[[], Any]] = {
        'torchvision v2': lambda: torch.stack([v2_chain(image) for image in batch]),
        'torchvision v2, one draw': lambda: v2_chain(batch),
    }
    missing = {}
    try:
        kornia = kornia_chain(crop)
    except ImportError as error:
        missing['kornia'] = f'{error}'
    else:
        others['kornia'] = lambda: kornia(batch)
    sides |= {name: Side(call, about=OTHER) for name, call in others.items()}
    return sides, missing


def _next_epoch(batch: Tensor, crop: int) -> Callable[[], Tensor]:
    transforms = [
        dict(type='BatchSimpleRandomCrop', crop_size=crop, flip_prob=0.5),
        dict(type='BatchThreeAugment'),
    ]
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        chain = BATCH_AUGMENTS.build(dict(type='BatchCompose', transforms=transforms))
    epochs, indices = count(), np.arange(len(batch))
    return lambda: chain(batch, image_seeds(0, next(epochs), indices))


def _one_at_a_time(chain: Callable[[dict], dict], images: np.ndarray) -> Callable[[], Tensor]:
    def run() -> Tensor:
        done = [chain({'img': image})['img'].transpose(2, 0, 1) for image in images]
        return torch.from_numpy(np.stack(done))  # as a collate function does

    return run

"""Base class of the transforms of whole batches."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...seeds import uniforms

# This many bytes of images, with everything computed from them, fit into a CPU's caches.
CPU_BYTES = 2**21


class BatchTransform(ABC):
    """A random transform of a batch of images on any device, with its own draw for each image.

    :meth:`sample` turns uniform numbers into parameters on the CPU, :meth:`apply` computes pixels
    on the device of the images and never waits for it: nothing is copied back, and all shapes
    follow from what the CPU knows. A subclass sets :attr:`num_draws` and both methods.

    Attributes:
        num_draws: How many uniform numbers :meth:`sample` needs for each image, K.
    """

    num_draws: int

    @abstractmethod
    def sample(self, numbers: np.ndarray, shape: tuple[int, int]) -> Any:
        """Return the parameters that follow from uniform numbers.

        Args:
            numbers: float64 of shape (B, K) in [0, 1).
            shape: (height, width) of the images.
        """

    @abstractmethod
    def apply(self, images: Tensor, params: Any) -> Tensor:
        """Return the transformed images; the given ones are not written to.

        Args:
            images: uint8 of shape (B, C, H, W).
            params: What :meth:`sample` returned for as many images of this size.
        """

    def __call__(self, images: Tensor, seeds: np.ndarray, position: int = 0) -> Tensor:
        """Sample for each image and apply.

        Args:
            images: uint8 of shape (B, C, H, W), on any device.
            seeds: The seed of each image, shape (B,), see
                :func:`vit_plugins.datasets.seeds.image_seeds`.
            position: The place of this transform in its pipeline, so that two of a kind differ.

        Raises:
            TypeError: If the images are not a tensor of uint8, or the seeds no integers.
            ValueError: If the shape of either does not fit.
        """
        check_batch(images, seeds, type(self).__name__)
        numbers = uniforms(seeds, position, self.num_draws)
        size = len(images)
        if images.device.type == 'cpu':
            size = CPU_BYTES // images.shape[1:].numel()
        size = max(size, 1)
        parts = images.split(size), np.split(numbers, range(size, len(images), size))
        shape = tuple(images.shape[-2:])
        results = [
            self.apply(part, self.sample(rows, shape)) for part, rows in zip(*parts, strict=True)
        ]
        return results[0] if len(results) == 1 else torch.cat(results)


def check_batch(images: Tensor, seeds: np.ndarray, name: str) -> None:
    """Check that a batch is one of uint8 images with a seed for each of them.

    Args:
        images: The candidate.
        seeds: The seeds of its images.
        name: Which transform asks, for the message.

    Raises:
        TypeError: If the images are not a tensor of uint8, or the seeds no integers.
        ValueError: If the shape of either does not fit.
    """
    if not isinstance(images, Tensor) or images.dtype != torch.uint8:
        got = getattr(images, 'dtype', type(images).__name__)
        raise TypeError(
            f'{name} takes batches as tensors of torch.uint8, got {got}; '
            'put it before the normalisation'
        )
    if images.ndim != 4 or images.shape[1] not in (1, 3) or 0 in images.shape[2:]:
        raise ValueError(
            f'{name} takes images of shape (B, 3, H, W) or (B, 1, H, W), got {tuple(images.shape)}'
        )
    if not isinstance(seeds, np.ndarray) or seeds.dtype.kind not in 'iu':
        got = getattr(seeds, 'dtype', type(seeds).__name__)
        raise TypeError(
            f'{name} takes the seeds of the images as a NumPy array of integers, got {got}; '
            'image_seeds makes it from (seed, epochs, indices)'
        )
    if seeds.shape != (len(images),):
        raise ValueError(
            f'{name} needs one seed for each of {len(images)} images, got shape {seeds.shape}'
        )


def upload(values: Tensor | np.ndarray, device: torch.device) -> Tensor:
    """Copy what was sampled to a device without waiting for it.

    Args:
        values: Tensor on the CPU, or an array.
        device: Where the images are.
    """
    values = torch.as_tensor(values)
    if device.type == 'cuda':  # from pageable memory the copy would wait
        values = values.pin_memory()
    return values.to(device, non_blocking=True)

"""Base class of the transforms of whole batches."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...seeds import uniforms

# This many bytes of images, with all that is computed from them, fit into the caches of a CPU.
CPU_BYTES = 2**21


class BatchTransform(ABC):
    """A random transform of a batch of images on any device, with own parameters for each image.

    :meth:`sample` turns uniform numbers into parameters on the CPU. :meth:`apply` computes the
    pixels on the device of the images. The CPU never waits for the device, because nothing is
    copied back and all shapes are known on the CPU. A subclass defines :attr:`num_uniforms` and
    both methods.

    Attributes:
        num_uniforms: How many uniform numbers :meth:`sample` needs for each image, K.
    """

    num_uniforms: int

    @abstractmethod
    def sample(self, numbers: np.ndarray, shape: tuple[int, int]) -> Any:
        """Return the parameters that uniform numbers select.

        Args:
            numbers: float64 of shape (B, K) in [0, 1).
            shape: (height, width) of the images.
        """

    @abstractmethod
    def apply(self, images: Tensor, params: Any) -> Tensor:
        """Return the transformed images. The given images are not modified.

        Args:
            images: uint8 of shape (B, C, H, W).
            params: The parameters that :meth:`sample` returned for a batch of this shape.
        """

    def __call__(self, images: Tensor, seeds: np.ndarray, position: int = 0) -> Tensor:
        """Return the images transformed with parameters that are sampled for each image.

        Args:
            images: uint8 of shape (B, C, H, W), on any device.
            seeds: The seed of each image, shape (B,), see
                :func:`vit_plugins.datasets.seeds.image_seeds`.
            position: The position of this transform in its pipeline, so that two transforms of
                one type get different random numbers.

        Raises:
            TypeError: If the images are not a tensor of uint8, or the seeds are not integers.
            ValueError: If the shape of either does not fit.
        """
        check_batch(images, seeds, type(self).__name__)
        numbers = uniforms(seeds, position, self.num_uniforms)
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
    """Check that a batch consists of uint8 images, with a seed for each of them.

    Args:
        images: The candidate.
        seeds: The seeds of its images.
        name: The name of the transform, for the message.

    Raises:
        TypeError: If the images are not a tensor of uint8, or the seeds are not integers.
        ValueError: If the shape of either does not fit.
    """
    if not isinstance(images, Tensor) or images.dtype != torch.uint8:
        got = getattr(images, 'dtype', type(images).__name__)
        raise TypeError(
            f'{name} takes batches as tensors of torch.uint8, got {got}; '
            'it must stand before the normalisation'
        )
    if images.ndim != 4 or images.shape[1] not in (1, 3) or 0 in images.shape[2:]:
        raise ValueError(
            f'{name} takes images of shape (B, 3, H, W) or (B, 1, H, W), got {tuple(images.shape)}'
        )
    if not isinstance(seeds, np.ndarray) or seeds.dtype.kind not in 'iu':
        got = getattr(seeds, 'dtype', type(seeds).__name__)
        raise TypeError(
            f'{name} takes the seeds of the images as a NumPy array of integers, got {got}; '
            'image_seeds computes them from (seed, epochs, indices)'
        )
    if seeds.shape != (len(images),):
        raise ValueError(
            f'{name} needs one seed for each of {len(images)} images, got shape {seeds.shape}'
        )


def upload(values: Tensor | np.ndarray, device: torch.device) -> Tensor:
    """Copy sampled values to a device without waiting for it.

    Args:
        values: Tensor on the CPU, or an array.
        device: The device of the images.
    """
    values = torch.as_tensor(values)
    if device.type == 'cuda':  # a copy from pageable memory would wait for the device
        values = values.pin_memory()
    return values.to(device, non_blocking=True)

"""Several batch transforms in a row."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from mmpretrain.registry import BATCH_AUGMENTS
from torch import Tensor

from .batch_transform import BatchTransform, check_batch


@BATCH_AUGMENTS.register_module()
class BatchCompose:
    """Apply batch transforms one after the other.

    Each transform has its own random numbers for each image. They depend on its position in the
    list, so removing one transform changes the random numbers of those after it.

    Args:
        transforms: Batch transforms or their configs, in the order in which they are applied.

    Raises:
        TypeError: If an item is not a batch transform.
    """

    def __init__(self, transforms: Sequence[BatchTransform | dict]) -> None:
        built = [BATCH_AUGMENTS.build(t) if isinstance(t, dict) else t for t in transforms]
        for transform in built:
            if not isinstance(transform, BatchTransform):
                raise TypeError(
                    f'BatchCompose takes batch transforms, got {type(transform).__name__}; '
                    'Mixup and CutMix belong in train_cfg.augments of the model'
                )
        self.transforms = built

    def __call__(self, images: Tensor, seeds: np.ndarray) -> Tensor:
        """Return the transformed images, on the same device.

        Args:
            images: uint8 of shape (B, C, H, W), on any device.
            seeds: The seed of each image, shape (B,), see
                :func:`vit_plugins.datasets.seeds.image_seeds`.

        Raises:
            TypeError: If the images are not a tensor of uint8, or the seeds are not integers.
            ValueError: If the shape of either does not fit.
        """
        check_batch(images, seeds, 'BatchCompose')
        for position, transform in enumerate(self.transforms):
            images = transform(images, seeds, position)
        return images

    def __repr__(self) -> str:
        return f'BatchCompose({self.transforms})'

"""A photo as input of a trained model, and the same as a picture."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from mmengine.dataset import pseudo_collate
from mmengine.model import BaseModel
from mmpretrain.structures import DataSample
from torch import Tensor

from ...datasets.image_check import inspect_image
from ...datasets.photo_file import name_unreadable
from ..photos import PhotoModel


class UnreadablePhotoError(ValueError):
    """A photo cannot be read; the message names the file and says why."""


@dataclass(frozen=True)
class ShownPhoto:
    """A photo after the test transforms.

    Attributes:
        name: The name of its file.
        inputs: The input of the backbone, normalised, (1, C, H, W).
        sample: Its data sample.
        pixels: The same as a picture, RGB (H, W, 3), uint8.
    """

    name: str
    inputs: Tensor
    sample: DataSample
    pixels: np.ndarray


def prepare_photos(trained: PhotoModel, files: Iterable[str | Path]) -> list[ShownPhoto]:
    """Load photos and prepare them for a model.

    Args:
        trained: The model with its test transforms.
        files: Image files.

    Raises:
        UnreadablePhotoError: If a photo cannot be read.
    """
    shown = []
    for file in files:
        if problem := inspect_image(str(file)).problem:
            raise UnreadablePhotoError(name_unreadable(file, problem))
        packed = pseudo_collate([trained.pipeline({'img_path': str(file)})])
        data = trained.model.data_preprocessor(packed, False)
        pixels = pixels_of(trained.model, data['inputs'])
        shown.append(ShownPhoto(str(file), data['inputs'], data['data_samples'][0], pixels))
    return shown


def pixels_of(model: BaseModel, inputs: Tensor) -> np.ndarray:
    """Convert the input of a backbone back into a picture.

    Args:
        model: The model, whose preprocessor normalised it.
        inputs: One image, (1, C, H, W).

    Returns:
        RGB (H, W, 3), uint8; an image of one channel is grey.
    """
    preprocessor = model.data_preprocessor
    image = inputs[0].detach().float().cpu()
    if getattr(preprocessor, '_enable_normalize', False):
        image = image * preprocessor.std.cpu() + preprocessor.mean.cpu()
    pixels = image.round().clamp(0, 255).byte().permute(1, 2, 0)  # (C, H, W) -> (H, W, C)
    return pixels.expand(-1, -1, 3).numpy() if pixels.shape[2] == 1 else pixels.numpy()


def stack_inputs(photos: Iterable[ShownPhoto]) -> Tensor:
    """Return photos as one batch (B, C, H, W).

    Args:
        photos: Photos of one size after the transforms.

    Raises:
        ValueError: If their sizes differ.
    """
    inputs = [photo.inputs for photo in photos]
    sizes = {tuple(item.shape[-2:]) for item in inputs}
    if len(sizes) > 1:
        raise ValueError(
            f'the test pipeline gives photos of several sizes, such as {min(sizes)} and '
            f'{max(sizes)}: name photos of one size, or add Resize or CenterCrop to it'
        )
    return torch.cat(inputs)

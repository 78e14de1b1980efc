"""Batches of pictures and the seeds of their images."""

import numpy as np
import pytest
import torch

from vit_plugins.datasets.seeds import image_seeds


@pytest.fixture
def batch(picture):
    """Return a function that makes a batch of BGR images, uint8 of shape (B, 3, H, W)."""

    def make(count=8, height=40, width=48):
        images = [picture(height, width, seed)[:, :, ::-1] for seed in range(count)]
        return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).contiguous()

    return make


@pytest.fixture
def seeds():
    return lambda count: image_seeds(0, 0, np.arange(count))


def as_image(tensor):
    """Return one image of a batch as the array that the transforms of one image take."""
    return np.ascontiguousarray(tensor.permute(1, 2, 0).numpy())


@pytest.fixture
def image_of():
    return as_image

"""Batches of pictures and the seeds of their images."""

import numpy as np
import pytest
import torch

from vit_plugins.datasets.seeds import image_seeds


@pytest.fixture
def batch(picture):
    """Make a batch of BGR pictures, uint8 of shape (B, 3, H, W)."""

    def make(count=8, height=40, width=48):
        images = [picture(height, width, seed)[:, :, ::-1] for seed in range(count)]
        return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).contiguous()

    return make


@pytest.fixture
def seeds():
    return lambda count: image_seeds(0, 0, np.arange(count))


def as_image(tensor):
    """Turn one image of a batch into the array that the per-image transforms take."""
    return np.ascontiguousarray(tensor.permute(1, 2, 0).numpy())


@pytest.fixture
def image_of():
    return as_image

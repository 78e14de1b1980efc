"""Batches of pictures, and a watch over what a transform asks of the device."""

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from vit_plugins.datasets.transforms.batch.draws import image_seeds


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


class NoWaiting(TorchDispatchMode):
    """Refuse what makes a program wait for a GPU, or moves data between it and the CPU unseen.

    The meta device itself refuses ``.item()`` and sizes that depend on data; it would let pass a
    CPU tensor as an index and a copy of a result to the CPU.
    """

    MOVES = {'aten::_to_copy', 'aten::copy_'}

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        devices = {
            leaf.device.type
            for leaf in tree_leaves((args, kwargs))
            if isinstance(leaf, torch.Tensor) and (leaf.ndim or leaf.is_meta)
        }
        name = func.name().split('.')[0]
        mixed = {'meta', 'cpu'} <= devices and name not in self.MOVES
        assert not mixed, f'{func} takes a CPU tensor beside one on the device'
        result = func(*args, **kwargs)
        back = 'meta' in devices and any(
            isinstance(leaf, torch.Tensor) and leaf.device.type == 'cpu'
            for leaf in tree_leaves(result)
        )
        assert not back, f'{func} moves a result of the device to the CPU'
        return result


@pytest.fixture
def no_waiting():
    return NoWaiting

"""Random draws that depend on what they are for, never on what was drawn before.

The draws of an image depend on (seed, epoch, index) alone, those of a step on (seed, step, rank).
Neither the number of workers nor a restart then changes a run. What draws, transforms of images
and of batches, dropout, losses, needs no random stream of its own: the global ones of Python,
numpy and torch are set before each image and each step.
"""

import random
from hashlib import blake2b

import numpy as np
import torch
from mmengine.device import get_device


def image_seed(seed: int, epoch: int, index: int, copy: int = 0) -> int:
    """Return the seed of all that is drawn for an image.

    Args:
        seed: The seed of the run.
        epoch: The epoch, from 0. Where the sampler never ends: the place in what it gives.
        index: The index of the image in the dataset.
        copy: Which time the image comes in this epoch, from 0.

    Returns:
        A seed of 63 bits.
    """
    return _mixed('image', seed, epoch, index, copy)


def step_seed(seed: int, step: int, rank: int = 0, moment: str = 'step') -> int:
    """Return the seed of all that a rank draws in a step of the training.

    Args:
        seed: The seed of the run.
        step: The steps done before.
        rank: The rank.
        moment: What else than the step itself draws then, such as a validation.

    Returns:
        A seed of 63 bits.
    """
    return _mixed(moment, seed, step, rank)


def _mixed(*parts: str | int) -> int:
    # Python's own hash of a string differs in each process.
    digest = blake2b(repr(parts).encode(), digest_size=8).digest()
    return int.from_bytes(digest, 'little') >> 1


def seed_streams(seed: int, devices: bool = False) -> None:
    """Set the global random streams of Python, numpy and torch.

    Args:
        seed: The seed, of up to 63 bits; numpy takes the lowest 32 of them.
        devices: Whether to set the streams of accelerators, too.
    """
    random.seed(seed)
    np.random.seed(seed & 0xFFFFFFFF)  # noqa: NPY002  (what transforms draw from)
    if devices and get_device() != 'cpu':
        torch.manual_seed(seed)
    else:
        # torch.manual_seed takes a hundred times as long where CUDA has not been started
        torch.default_generator.manual_seed(seed)

"""Compute random seeds that depend on their purpose, never on earlier random numbers.

The draws of an image depend on (seed, epoch, index) alone, those of a step on (seed, step, rank).
Neither the number of workers nor a restart then changes a run. What draws, transforms of images
and of batches, dropout, losses, needs no random stream of its own: the global ones of Python,
numpy and torch are set before each image and each step. Transforms of whole batches need not even
these: their numbers are hashes of the seed of each image and of a counter.
"""

import random
from zlib import crc32

import numpy as np
import torch
from mmengine.device import get_device

# the odd number nearest to 2^64 divided by the golden ratio, the step of SplitMix64
STEP = np.uint64(0x9E3779B97F4A7C15)


def hash64(numbers: np.ndarray) -> np.ndarray:
    """Compute the output function of SplitMix64, a permutation of the 64-bit numbers.

    Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014.

    >>> int(hash64(np.array([1234567], np.uint64) + STEP)[0])  # a generator's first number
    6457827717110365317

    Args:
        numbers: uint64 of any shape but ().
    """
    numbers = (numbers ^ (numbers >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    numbers = (numbers ^ (numbers >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return numbers ^ (numbers >> np.uint64(31))


def image_seeds(
    seed: int,
    epochs: int | np.ndarray,
    indices: int | np.ndarray,
    copies: int | np.ndarray = 0,
) -> np.ndarray:
    """Return the seed of all that is drawn for each image of a batch.

    Args:
        seed: The seed of the run.
        epochs: The epoch of each image, or of all, from 0. Where the sampler never ends: the place
            of the image in what it gives.
        indices: The index of each image in its dataset, shape (B,).
        copies: Which time each image comes in this epoch, from 0.

    Returns:
        uint64 of shape (B,), below 2^63 so that it fits a signed integer as well.
    """
    parts = np.broadcast_arrays(*np.atleast_1d(seed, epochs, indices, copies))
    return _folded([_unsigned(part) for part in parts]) >> np.uint64(1)


def uniforms(seeds: np.ndarray, position: int, count: int) -> np.ndarray:
    """Return the numbers that a transform uses for each image of a batch.

    Args:
        seeds: The seed of each image, see :func:`image_seeds`, integers of shape (B,).
        position: The place of the transform in its pipeline, from 0.
        count: How many numbers each image needs, K.

    Returns:
        float64 of shape (B, K), multiples of 2^-53 in [0, 1).
    """
    streams = _folded([_unsigned(seeds), _unsigned(np.array([position]))])
    counters = np.arange(1, count + 1, dtype=np.uint64) * STEP
    bits = hash64(streams[:, None] + counters)  # (B, K): each row is a SplitMix64 generator
    return (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _unsigned(numbers: np.ndarray) -> np.ndarray:
    return np.asarray(numbers).astype(np.uint64)  # a negative number wraps


def _folded(parts: list[np.ndarray]) -> np.ndarray:
    """Hash arrays of numbers, one after the other, to one number for each row."""
    state = np.zeros(1, np.uint64)
    for part in parts:
        state = hash64((state ^ part) + STEP)
    return state


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
    # Python's own hash of a string differs in each process; a checksum is no small number, as the
    # copies of an image are, so that no step shares its seed with an image.
    parts = (seed, step, rank, crc32(moment.encode()))
    return int(_folded([_unsigned(np.array([part])) for part in parts])[0] >> np.uint64(1))


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

"""Compute random seeds that depend on their purpose, never on earlier random numbers.

The random numbers of an image depend only on (seed, epoch, index), those of a step only on (seed,
step, rank). Neither the number of workers nor a restart therefore changes a run. Transforms,
dropout and losses need no random streams of their own, because the global streams of Python,
NumPy and torch are set before each image and each step. Transforms of whole batches do not use
these streams: their numbers are hashes of the seed of each image and of a counter.
"""

import random
from zlib import crc32

import numpy as np
import torch
from mmengine.device import get_device

# the step of SplitMix64: the odd number nearest to 2^64 divided by the golden ratio
STEP = np.uint64(0x9E3779B97F4A7C15)


def hash64(numbers: np.ndarray) -> np.ndarray:
    """Compute the output function of SplitMix64, a permutation of the 64-bit numbers.

    Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014.

    >>> int(hash64(np.array([1234567], np.uint64) + STEP)[0])  # a generator's first number
    6457827717110365317

    Args:
        numbers: uint64 of any shape except ().
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
    """Return the seed of all random numbers of each image of a batch.

    Args:
        seed: The seed of the run.
        epochs: The epoch of each image, or of all images, from 0. If the sampler never ends, the
            position of the image in its sequence.
        indices: The index of each image in its dataset, shape (B,).
        copies: How often each image came before in this epoch.

    Returns:
        uint64 of shape (B,), below 2^63 so that it fits a signed integer as well.
    """
    parts = np.broadcast_arrays(*np.atleast_1d(seed, epochs, indices, copies))
    return _folded([_unsigned(part) for part in parts]) >> np.uint64(1)


def uniforms(seeds: np.ndarray, position: int, count: int) -> np.ndarray:
    """Return the numbers that a transform uses for each image of a batch.

    Args:
        seeds: The seed of each image, see :func:`image_seeds`, integers of shape (B,).
        position: The position of the transform in its pipeline, from 0.
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
    """Compute one hash for each row from arrays of numbers, one array after the other."""
    state = np.zeros(1, np.uint64)
    for part in parts:
        state = hash64((state ^ part) + STEP)
    return state


def step_seed(seed: int, step: int, rank: int = 0, moment: str = 'step') -> int:
    """Return the seed of all random numbers of a rank in a step of the training.

    Args:
        seed: The seed of the run.
        step: How many steps were done before.
        rank: The rank.
        moment: The purpose of the numbers: the step itself, or for example a validation then.

    Returns:
        A seed of 63 bits.
    """
    # Python's own hash of a string differs between processes. A checksum is a large number and
    # the number of copies of an image a small one, so no step has the same seed as an image.
    parts = (seed, step, rank, crc32(moment.encode()))
    return int(_folded([_unsigned(np.array([part])) for part in parts])[0] >> np.uint64(1))


def seed_streams(seed: int, devices: bool = False) -> None:
    """Set the global random streams of Python, NumPy and torch.

    Args:
        seed: The seed, of up to 63 bits; NumPy gets the lowest 32 of them.
        devices: Whether to set the streams of accelerators as well.
    """
    random.seed(seed)
    np.random.seed(seed & 0xFFFFFFFF)  # noqa: NPY002  (transforms use this stream)
    if devices and get_device() != 'cpu':
        torch.manual_seed(seed)
    else:
        # torch.manual_seed takes a hundred times as long where CUDA has not been started
        torch.default_generator.manual_seed(seed)

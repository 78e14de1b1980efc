"""Decode images once, into memory and into a file for the next run."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from mmengine.logging import print_log
from torch import Tensor

from ..fileio.file_lock import acquire


def decode_once(decode: Callable[[int], Tensor], count: int, file: Path | None) -> Tensor:
    """Return all images as one tensor, from the cache if they are there.

    If several processes need the same images, the first one decodes them and the others wait.
    They share the memory of the cache file. What a process writes to the tensor is not seen by
    the others.

    Args:
        decode: A function that returns the image (C, H, W), uint8, of an index.
        count: N.
        file: A ``.npy`` file for the decoded images. Other images need another file. With None no
            file is written.

    Returns:
        The images, shape (N, C, H, W), uint8.

    Raises:
        ValueError: If images differ in size, or do not fit into half of the memory.
    """
    if file is None:
        return _decode_all(decode, count)
    file.parent.mkdir(parents=True, exist_ok=True)
    with _locked(file.with_suffix('.lock')):
        found = _read(file, count)
        if found is not None:
            return found
        pixels = _decode_all(decode, count)
        unfinished = file.with_suffix('.unfinished')
        with unfinished.open('wb') as stream:  # np.save would add .npy to the name
            np.save(stream, pixels.numpy(), allow_pickle=False)
        os.replace(unfinished, file)
        print_log(f'{count} decoded images are kept in {file}', 'current')
        found = _read(file, count)  # all processes share one copy of it
    return pixels if found is None else found


def _read(file: Path, count: int) -> Tensor | None:
    if not file.is_file():
        return None
    try:
        pixels = np.load(file, mmap_mode='c', allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        print_log(f'{file} is damaged ({error}); it is written again', 'current')
        return None
    if pixels.dtype != np.uint8 or pixels.ndim != 4 or len(pixels) != count:
        print_log(f'{file} contains other images; it is written again', 'current')
        return None
    return torch.from_numpy(pixels)


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    with file.open('w') as stream:
        advice = 'each process that needs these images decodes them itself'
        acquire(stream.fileno(), str(file), wait=True, inherited=True, advice=advice)
        yield


def _decode_all(decode: Callable[[int], Tensor], count: int) -> Tensor:
    first = decode(0)
    _require_memory(first, count)
    pixels = torch.empty((count, *first.shape), dtype=torch.uint8)

    def put(index: int) -> None:
        """Decode in place, because results returned by a pool would be a second copy."""
        image = decode(index)
        if image.shape != first.shape:
            raise ValueError(
                f'images differ in size: (C, H, W) is {tuple(first.shape)} for the first and '
                f'{tuple(image.shape)} for number {index}. Resize and crop to one size in the '
                'pipeline of the dataset.'
            )
        pixels[index] = image

    next_line = time.monotonic() + 10
    # Threads, because decoders release the interpreter's lock.
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for done, _ in enumerate(pool.map(put, range(count)), 1):
            if time.monotonic() > next_line:
                print_log(f'{done} of {count} images are decoded', 'current')
                next_line += 10
    return pixels


def _require_memory(image: Tensor, count: int) -> None:
    needed = image.numel() * count
    try:
        there = os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES')
    except (AttributeError, ValueError, OSError):
        return  # the size is unknown; torch raises an error if the memory does not suffice
    if needed > there // 2:
        raise ValueError(
            f'{count} images of {tuple(image.shape)} take {needed / 2**30:.1f} GiB, more than '
            f'half of the {there / 2**30:.1f} GiB of memory: make them smaller in the pipeline, '
            'or do not use CachedImages.'
        )

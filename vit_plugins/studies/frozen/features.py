"""Compute the features of the photos in class folders once and keep them in a file."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ...datasets.folder_scan import scan_class_folders
from ...datasets.photo_decoding import decode_photo
from ...fileio.array_files import read_npz
from ...fileio.atomic_backend import whole_file

BATCH = 32
Encode = Callable[[Tensor], Mapping[str, Tensor]]


@dataclass(frozen=True)
class Features:
    """Vectors of photos.

    Attributes:
        vectors: Name of the pooling to float32 vectors (N, D).
        labels: Class of each photo, (N,), numbered in the order of the sorted class folders.
        names: Path of each photo below the folder.
        seconds: Wall-clock seconds of encoding, without reading the files.
        cpu_seconds: CPU seconds of the process for the same.
    """

    vectors: dict[str, Tensor]
    labels: Tensor
    names: list[str]
    seconds: float
    cpu_seconds: float

    @property
    def photos_per_second(self) -> float:
        """Return the photos that one core encodes in a CPU second."""
        return len(self.names) / self.cpu_seconds


def read_square(path: Path, size: int) -> np.ndarray:
    """Load a photo, resize its short side (bicubic, antialiased) and crop the middle square.

    Args:
        path: The file.
        size: The side of the square in pixels.

    Returns:
        RGB, uint8, shape (size, size, 3).
    """
    photo = Image.fromarray(decode_photo(path.read_bytes())[0][..., ::-1])
    scale = size / min(photo.size)
    width, height = (max(size, round(side * scale)) for side in photo.size)
    photo = photo.resize((width, height), Image.Resampling.BICUBIC)
    left, top = (width - size) // 2, (height - size) // 2
    return np.asarray(photo.crop((left, top, left + size, top + size)))


def extract(
    encoder: Encode, folder: Path, size: int, log: Callable[[str], None] = print
) -> Features:
    """Encode all photos below the class folders of a folder.

    Args:
        encoder: Maps RGB images (B, 3, H, W), uint8, to vectors (B, D) for each pooling name.
        folder: The folder.
        size: The side of the square that the network sees.
        log: The function that logs the progress.
    """
    scan = scan_class_folders(folder)
    names = [name for name, _ in scan.samples]
    parts: dict[str, list[Tensor]] = {}
    seconds = cpu_seconds = 0.0
    for start in range(0, len(names), BATCH):
        photos = [read_square(folder / name, size) for name in names[start : start + BATCH]]
        images = torch.from_numpy(np.stack(photos)).permute(0, 3, 1, 2)  # (B, 3, size, size)
        wall, cpu = time.perf_counter(), time.process_time()
        for pooling, vectors in encoder(images).items():
            # a copy: the class token is a view that would keep all tokens
            parts.setdefault(pooling, []).append(vectors.float().clone())
        seconds += time.perf_counter() - wall
        cpu_seconds += time.process_time() - cpu
        done = start + len(photos)
        if start // BATCH % 20 == 0:
            log(f'{done} of {len(names)} photos, {done / seconds:.1f} a second')
    vectors = {pooling: torch.cat(found) for pooling, found in parts.items()}
    labels = torch.tensor([label for _, label in scan.samples])
    return Features(vectors, labels, names, seconds, cpu_seconds)


def cached(path: Path, compute: Callable[[], Features]) -> Features:
    """Load features from a file, or compute them and write the file.

    Args:
        path: The .npz file.
        compute: The function that computes them if there is no file.
    """
    if not path.is_file():
        found = compute()
        arrays = {f'vectors/{name}': value.numpy() for name, value in found.vectors.items()}
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as file:
            times = np.array([found.seconds, found.cpu_seconds])
            np.savez(file, labels=found.labels, names=found.names, times=times, **arrays)
        return found
    kept = read_npz(path)
    vectors = {
        name.removeprefix('vectors/'): torch.from_numpy(array)
        for name, array in kept.items()
        if name.startswith('vectors/')
    }
    labels, names = torch.from_numpy(kept['labels']), kept['names'].tolist()
    return Features(vectors, labels, names, *kept['times'].tolist())

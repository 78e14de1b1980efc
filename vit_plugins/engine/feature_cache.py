"""Keep the features of photos in a file, so that they are computed once."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.logging import print_log
from mmpretrain.models import ImageClassifier
from torch import Tensor
from torch.utils.data import Dataset

from ..fileio.array_files import read_npz
from ..fileio.atomic_backend import whole_file
from ..fileio.cache_folder import cache_folder
from ..weights.digest import weights_digest

UNKEPT = 'no file: '  # keys of images that cannot be recognised later begin with this


def photo_key(info: Mapping[str, Any], place: str) -> str:
    """Return a key that identifies a photo and changes when the photo changes.

    Args:
        info: The dataset's information about the image.
        place: Identifies the image within this run if it is not a file.

    Returns:
        A digest of path, size and time of change; for an image that is not a file, its place.
    """
    path = info.get('img_path')
    try:
        stat = os.stat(path)
    except (OSError, TypeError):
        return f'{UNKEPT}{place}'
    words = f'{os.path.realpath(path)}\0{stat.st_size}\0{stat.st_mtime_ns}'
    return sha256(words.encode(errors='surrogateescape')).hexdigest()[:32]


def photo_keys(dataset: Dataset, part: str) -> list[str]:
    """Return the key of each image of a dataset, see :func:`photo_key`.

    Args:
        dataset: The dataset.
        part: Identifies the dataset within this run.
    """
    return [photo_key(dataset.get_data_info(i), f'{part} {i}') for i in range(len(dataset))]


def features_file(model: ImageClassifier, settings: Sequence[Any], folder: str) -> Path:
    """Return the path of the file that keeps the features of a folder.

    Args:
        model: The classifier, whose backbone and neck make the features.
        settings: Everything else that the features depend on: backbone, neck, normalisation and
            pipeline.
        folder: The folder of the photos.
    """
    digest = sha256(weights_digest(model.state_dict()).encode())
    digest.update(repr(settings).encode())
    digest.update(os.fsencode(os.path.realpath(folder)))
    return cache_folder('frozen_features') / f'{digest.hexdigest()[:24]}.npz'


class FeatureCache:
    """Features by photo, read from a file and written to it.

    If the file is damaged or cannot be written, the features are only computed again.

    Args:
        path: The ``.npz`` file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._new = False
        self._features: dict[str, np.ndarray] = {}
        # absent or damaged: nothing is known
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            kept = read_npz(path)
            self._features = dict(zip(kept['photos'].tolist(), kept['features'], strict=True))

    def __repr__(self) -> str:
        return f'FeatureCache({str(self.path)!r}), {len(self._features)} photos'

    def __contains__(self, key: str) -> bool:
        return key in self._features

    def add(self, keys: Sequence[str], features: Iterable[Tensor]) -> None:
        """Keep features.

        Args:
            keys: The key of each photo, see :func:`photo_key`.
            features: The features of each photo, float32, (D,).
        """
        self._features.update((k, v.numpy()) for k, v in zip(keys, features, strict=True))
        self._new = self._new or len(keys) > 0

    def get(self, keys: Sequence[str]) -> Tensor:
        """Return the features of photos, (N, D).

        Args:
            keys: The keys of the photos; all of them must be in the cache.
        """
        return torch.from_numpy(np.stack([self._features[key] for key in keys]))

    def save(self) -> None:
        """Write what was added, except for images that are not files."""
        keys = [key for key in self._features if not key.startswith(UNKEPT)]
        if not self._new or not keys:
            return
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with whole_file(self.path) as file:
                np.savez(file, photos=np.array(keys), features=self.get(keys).numpy())
            self._new = False
        except OSError as error:
            print_log(f'The features are not kept for another training: {error}')

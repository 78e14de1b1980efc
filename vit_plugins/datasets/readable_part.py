"""Check the photos of a dataset before a model runs on them, and leave out those that are bad."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ._dataset_wrapper import DatasetWrapper, leaf_dataset
from .folder_scan import FolderError
from .image_check import require_readable
from .image_folder import ImageFolder
from .photo_limits import LIMITS
from .retrieval_folder import RetrievalFolder


class ReadablePart(DatasetWrapper):
    """The images of a dataset without some of them.

    Args:
        dataset: The dataset.
        left_out: The files that are left out, as paths below the dataset's folder.
        kept: The indices of the others.
    """

    def __init__(self, dataset: Any, left_out: Sequence[str], kept: np.ndarray) -> None:
        super().__init__(dataset)
        self.left_out = tuple(left_out)
        self.kept = kept

    def __len__(self) -> int:
        """Return the number of images that are left."""
        return len(self.kept)

    def __getitem__(self, idx: int) -> dict:
        """Return the output of the dataset's pipeline for an image.

        Args:
            idx: Its index among those that are left.
        """
        return self.dataset[int(self.kept[idx])]

    def get_data_info(self, idx: int) -> dict:
        """Return the annotation of an image.

        Args:
            idx: Its index among those that are left.
        """
        return self.dataset.get_data_info(int(self.kept[idx]))


def readable_part(dataset: Any, *, skip: bool) -> Any:
    """Check that the photos of a user's folder can be read.

    Datasets that are not of a user's folder, such as published ones, are returned unread. Photos
    that were read before and have not changed are not read again.

    Args:
        dataset: A dataset, perhaps wrapped.
        skip: Whether to leave out the photos that cannot be read, with a line in the log.

    Returns:
        The dataset, or, if photos are left out, a ``ReadablePart`` of it.

    Raises:
        FolderError: If photos cannot be read and are not left out, or none is left.
    """
    leaf = leaf_dataset(dataset)
    if not isinstance(leaf, ImageFolder | RetrievalFolder):
        return dataset
    root = Path(leaf.data_root)
    files = [dataset.get_data_info(i)['img_path'] for i in range(len(dataset))]
    names = [os.path.relpath(file, root) for file in files]
    loader = next(iter(leaf.pipeline.transforms), None)
    limits = getattr(loader, 'limits', LIMITS)
    bad = require_readable(root, list(dict.fromkeys(names)), skip=skip, limits=limits)
    if not bad:
        return dataset
    gone = frozenset(bad)
    kept = np.flatnonzero([name not in gone for name in names])
    if not len(kept):
        raise FolderError(f'none of the {len(names)} photos of {root} can be read')
    return ReadablePart(dataset, bad, kept)

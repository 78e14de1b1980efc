"""The groups of photos that a split of a dataset keeps on one side."""

from __future__ import annotations

from pathlib import Path

from torch.utils.data import Dataset

from .image_folder import ImageFolder
from .photo_table import find_groups


def groups_of(dataset: Dataset) -> list[str] | None:
    """Return the group of each photo of an ``ImageFolder``, which may be inside wrappers.

    Args:
        dataset: The dataset.

    Returns:
        A group for each photo, or None if the dataset has no groups.
    """
    folder = dataset
    while not isinstance(folder, ImageFolder) and hasattr(folder, 'dataset'):
        folder = folder.dataset
    if getattr(folder, 'group_by', None) is None:
        return None
    paths = (dataset.get_data_info(i)['img_path'] for i in range(len(dataset)))
    names = [Path(path).relative_to(folder.img_prefix).as_posix() for path in paths]
    return find_groups(names, folder.group_by)

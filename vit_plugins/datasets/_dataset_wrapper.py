"""Base class of datasets that wrap another dataset."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from mmpretrain.registry import DATASETS


def leaf_dataset(dataset: Any) -> Any:
    """Return the dataset inside all wrappers.

    Args:
        dataset: A dataset; one that wraps none is returned itself.
    """
    while getattr(dataset, 'dataset', None) is not None:
        dataset = dataset.dataset
    return dataset


class DatasetWrapper(ABC):
    """A dataset that is a view of another one, with the same classes.

    Args:
        dataset: The dataset, or its config.
    """

    def __init__(self, dataset: Any) -> None:
        self.dataset = DATASETS.build(dataset) if isinstance(dataset, dict) else dataset

    @property
    def metainfo(self) -> dict:
        """The meta information of the dataset."""
        return self.dataset.metainfo

    @property
    def CLASSES(self) -> tuple[str, ...] | None:
        """The names of all classes."""
        return self.metainfo.get('classes')

    @property
    def class_to_idx(self) -> dict[str, int]:
        """The number of each class."""
        return {name: i for i, name in enumerate(self.CLASSES)}

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of images."""

    @abstractmethod
    def get_data_info(self, idx: int) -> dict:
        """Return the annotation of an image.

        Args:
            idx: Its index.
        """

    def get_cat_ids(self, idx: int) -> list[int]:
        """Return the class of an image, as a list.

        Args:
            idx: Its index.
        """
        return [int(self.get_data_info(idx)['gt_label'])]

    def get_gt_labels(self) -> np.ndarray:
        """Return the classes of all images, shape (N,)."""
        return np.array([self.get_cat_ids(i)[0] for i in range(len(self))])


class ReadingWrapper(DatasetWrapper):
    """A wrapper that reads its dataset once, when it is built or first used.

    A subclass defines :meth:`read`, and calls this constructor at the end of its own.

    Args:
        dataset: The dataset, or its config.
        lazy_init: Whether to read only when first used.
    """

    def __init__(self, dataset: Any, lazy_init: bool) -> None:
        super().__init__(dataset)
        self._fully_initialized = False
        if not lazy_init:
            self.full_init()

    def full_init(self) -> None:
        """Read the dataset, unless it is read already."""
        if self._fully_initialized:
            return
        if hasattr(self.dataset, 'full_init'):
            self.dataset.full_init()
        self.read()
        self._fully_initialized = True

    @abstractmethod
    def read(self) -> None:
        """Store what the wrapper needs of its dataset, which is complete now."""

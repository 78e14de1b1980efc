"""Keep fewer images of each class, as in studies of sample efficiency."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from hashlib import sha256
from numbers import Integral, Real
from typing import Any

import numpy as np
from mmengine.dataset import force_full_init
from mmpretrain.registry import DATASETS

from ._dataset_wrapper import ReadingWrapper

MODES = ('first', 'random')


def kept_count(
    count: int, fraction: float | None, num_per_class: int | None, allow_fewer: bool = False
) -> int:
    """Return how many images of a class to keep: int(count * fraction), or the given number.

    Args:
        count: The images of the class.
        fraction: The fraction to keep, or None.
        num_per_class: The number to keep, or None.
        allow_fewer: Whether a smaller class keeps all of its images.

    >>> kept_count(4, None, 9, allow_fewer=True)
    4
    """
    if num_per_class is None:
        return int(count * fraction)
    return min(count, num_per_class) if allow_fewer else num_per_class


def choose_per_class(
    labels: Sequence[int],
    names: Sequence[str],
    fraction: float | None = None,
    num_per_class: int | None = None,
    mode: str = 'first',
    seed: int = 0,
    allow_fewer: bool = False,
) -> list[int]:
    """Return some images of each class.

    Within a class the images are sorted by name, or by position if names are equal or absent.
    'first' takes the first of them, as the official ConViT code does. 'random' ranks them by a
    hash of seed, class and position in that order. The result is the same on every machine, and a
    smaller subset is part of a larger one.

    Args:
        labels: The class of each of N images.
        names: The name of each image, such as its path.
        fraction: The fraction of each class to keep, rounded down.
        num_per_class: The number to keep, in place of the fraction.
        mode: 'first' or 'random'.
        seed: The seed of 'random'.
        allow_fewer: Whether classes with fewer than ``num_per_class`` images keep all of them.

    Returns:
        Sorted indices of the images that are kept.

    Raises:
        ValueError: If a class would be empty, or has fewer images than requested.
    """
    classes: dict[int, list[int]] = {}
    for index in sorted(range(len(labels)), key=lambda i: (names[i], i)):
        classes.setdefault(int(labels[index]), []).append(index)
    kept: list[int] = []
    for label, members in sorted(classes.items()):
        count = kept_count(len(members), fraction, num_per_class, allow_fewer)
        if not 0 < count <= len(members):
            asked = f'num_per_class={num_per_class}' if fraction is None else f'{fraction=}'
            raise ValueError(
                f'class {label} has {len(members)} images, {asked} would keep {count}: '
                + (
                    'choose a smaller number, or set allow_fewer=True'
                    if count
                    else 'choose a larger fraction, so that an image is left'
                )
            )
        if mode == 'random':
            rank = {
                index: sha256(f'{seed}/{label}/{position}'.encode()).digest()
                for position, index in enumerate(members)
            }
            members = sorted(members, key=rank.__getitem__)
        kept += members[:count]
    return sorted(kept)


@DATASETS.register_module()
class ClassSubset(ReadingWrapper):
    """Keep some images of each class of a dataset; class numbers do not change.

    Source: S. d'Ascoli et al., ConViT, ICML 2021, Table 2, and its code (the first
    ``int(count * fraction)`` files of each class in sorted order).

    The number of epochs does not change by itself:
    :func:`vit_plugins.config_edits.scale_epochs.scale_epochs` multiplies them by 1 / fraction.

    Args:
        dataset: A dataset, or the config of one, that has ``get_data_info(i)['gt_label']``.
        fraction: The fraction of each class to keep, within (0, 1], rounded down.
        num_per_class: The number of images to keep of each class, in place of ``fraction``.
        mode: 'first' in the order of file names, or 'random'.
        seed: The seed of 'random'. It must be 0 with 'first', which uses no seed.
        lazy_init: Whether to select the images only when they are first used.
        allow_fewer: Whether classes with fewer than ``num_per_class`` images keep all of them.

    Raises:
        ValueError: If not exactly one of ``fraction`` and ``num_per_class`` is given or it is out
            of range, ``mode`` is unknown, or ``seed`` or ``allow_fewer`` has no effect. Once the
            data are read: if a class would be empty or has fewer images than requested.
    """

    def __init__(
        self,
        dataset: Any,
        fraction: float | None = None,
        num_per_class: int | None = None,
        mode: str = 'first',
        seed: int = 0,
        lazy_init: bool = False,
        allow_fewer: bool = False,
    ) -> None:
        if (fraction is None) == (num_per_class is None):
            raise ValueError(
                f'give either fraction or num_per_class, got {fraction=} and {num_per_class=}'
            )
        if fraction is not None and not (_is_a(Real, fraction) and 0 < fraction <= 1):
            raise ValueError(f'fraction must be a number within (0, 1], got {fraction!r}')
        if num_per_class is not None and not (
            _is_a(Integral, num_per_class) and num_per_class > 0
        ):
            raise ValueError(
                f'num_per_class must be a whole number, at least 1, got {num_per_class!r}'
            )
        if allow_fewer and num_per_class is None:
            raise ValueError('allow_fewer has no effect on a fraction: give num_per_class')
        if mode not in MODES:
            raise ValueError(f'mode must be one of {", ".join(MODES)}, got {mode!r}')
        if mode == 'first' and seed != 0:
            raise ValueError(f"seed={seed} has no effect with mode='first': use mode='random'")
        self.fraction = fraction
        self.num_per_class = num_per_class
        self.mode = mode
        self.seed = seed
        self.allow_fewer = allow_fewer
        super().__init__(dataset, lazy_init)

    def read(self) -> None:
        """Choose the images."""
        infos = (self.dataset.get_data_info(i) for i in range(len(self.dataset)))
        marks = [(info['gt_label'], info.get('img_path', '')) for info in infos]
        if any(np.ndim(label) for label, _ in marks):
            raise ValueError(
                'ClassSubset needs one class per image, but images of this dataset have several'
            )
        labels, names = zip(*marks, strict=True) if marks else ((), ())
        self.indices = choose_per_class(
            labels,
            names,
            self.fraction,
            self.num_per_class,
            self.mode,
            self.seed,
            self.allow_fewer,
        )

    @force_full_init
    def get_data_info(self, idx: int) -> dict:
        """Read the annotation of an image.

        Args:
            idx: Its index in the subset.
        """
        return self.dataset.get_data_info(self.indices[idx])

    @force_full_init
    def get_subset(self, indices: Sequence[int]) -> ClassSubset:
        """Keep some of the images, as the host's ``KFoldDataset`` does.

        Args:
            indices: The indices of the images in the subset.
        """
        part = copy(self)
        part.indices = [self.indices[i] for i in indices]
        return part

    @force_full_init
    def __len__(self) -> int:
        return len(self.indices)

    @force_full_init
    def __getitem__(self, idx: int) -> Any:
        return self.dataset[self.indices[idx]]

    def __repr__(self) -> str:
        share = (
            f'num_per_class={self.num_per_class}'
            if self.fraction is None
            else f'fraction={self.fraction}'
        )
        share += ', allow_fewer=True' if self.allow_fewer else ''
        size = f', {len(self)} images' if self._fully_initialized else ''
        return (
            f'ClassSubset({share}, mode={self.mode!r}, seed={self.seed}{size}, '
            f'of {self.dataset!r})'
        )


def _is_a(kind: type, value: Any) -> bool:
    """Return whether a value is a number; True does not count, although it is one in Python."""
    return isinstance(value, kind) and not isinstance(value, bool)

"""A dataset of class folders that can hold out its own validation images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmpretrain.datasets import CustomDataset
from mmpretrain.registry import DATASETS

from .folder_scan import FolderError, FolderScan, compare_classes, log_once, log_skipped
from .photo_table import scan_photos
from .trained_photos import find_seen
from .transforms.load_photo import use_load_photo


@DATASETS.register_module()
class ImageFolder(CustomDataset):
    """Images in class folders.

    In addition to the host's ``CustomDataset`` it has a fixed stratified split for validation. It
    compares classes by name, not by number, and an empty class is an error in training. It
    supports more types of images: ``LoadPhoto`` loads them if the pipeline names the host's
    loader.

    Args:
        data_root: The folder that contains the class folders.
        part: 'all' images, or one of 'train' and 'val', which share the folder.
        val_fraction: The fraction of each class that is held out for validation. With 0 the part
            'train' has all images, and the part 'val' is an error.
        seed: The seed of the split.
        fold: The number of a fold, from 0, and how many there are: the images of this fold are
            the part 'val', whole groups together, instead of ``val_fraction``.
        left_out: Images that are not used, as paths below ``data_root``.
        group_by: A regular expression, or a CSV file with the columns file and group: images of
            one group are in the same part, see ``find_groups``.
        labels: A CSV file with the columns file and class, instead of class folders.
        trained_on: The table of the photos that an earlier training has seen, see
            ``write_trained_photos``: none of them is held out. They are in the part 'train' and
            in no other part.
        metainfo: If it contains ``classes``, the class folders must have these names. With
            ``test_mode=True`` some of the folders may be missing.
        **kwargs: Further arguments of ``CustomDataset``.

    Raises:
        ValueError: If ``part`` is not one of the three, there is no such fold, no image is held
            out for 'val', or the folder does not contain class folders with images.
    """

    def __init__(
        self,
        data_root: str,
        part: str = 'all',
        val_fraction: float = 0.2,
        seed: int = 0,
        fold: tuple[int, int] | None = None,
        left_out: Sequence[str] = (),
        group_by: str | None = None,
        labels: str | None = None,
        trained_on: str | None = None,
        **kwargs: Any,
    ) -> None:
        if part not in ('all', 'train', 'val'):
            raise ValueError(f"part must be 'all', 'train' or 'val', got {part!r}")
        if fold is not None and not 0 <= fold[0] < fold[1] > 1:
            raise ValueError(f'fold must be (number from 0, how many), as (0, 5), got {fold}')
        if fold is not None and part == 'all':
            raise ValueError(f"fold={fold} has no effect with part='all': set 'train' or 'val'")
        self.part = part
        self.fold = fold
        self.val_fraction = val_fraction
        self.seed = seed
        self.left_out = tuple(left_out)
        self.group_by = group_by
        self.labels = labels
        self.trained_on = trained_on
        kwargs['pipeline'] = use_load_photo(kwargs.get('pipeline', ()))
        super().__init__(data_root=data_root, **kwargs)

    def _find_samples(self) -> list[tuple[str, int]]:
        """Return path and class of the images; the host's class calls this method."""
        complete = self.CLASSES is None or not self.test_mode
        scan = scan_photos(
            Path(self.img_prefix), complete=complete, labels=self.labels, group_by=self.group_by
        ).without(self.left_out)
        log_skipped(scan)
        if self.CLASSES is not None:
            compare_classes(self.CLASSES, scan.classes, self.img_prefix, complete=complete)
        order = {name: i for i, name in enumerate(self.CLASSES or scan.classes)}
        self._metainfo['classes'] = tuple(order)
        samples = [(path, order[scan.classes[label]]) for path, label in scan.samples]
        chosen = self._without_seen(scan, self._part_of(scan))
        if not chosen and self.trained_on is not None:
            raise FolderError(
                f'All {len(samples)} images of {self.img_prefix} were trained on ('
                f'{self.trained_on}), so none is left to test on: name a folder with other images.'
            )
        if not chosen:
            raise FolderError(
                f'No image of {self.img_prefix} is left to validate on: each of its '
                f'{len(scan.classes)} classes has one image, which is trained on. Add images, '
                'put others of these classes into DIR/val beside DIR/train, or train with '
                '--no-validate.'
            )
        return [samples[i] for i in chosen]

    def _part_of(self, scan: FolderScan) -> list[int]:
        """Return the images of the part, before those that were seen are moved."""
        chosen = scan.part(self.part, self.val_fraction, self.seed, self.fold)
        if self.fold is not None and self.part == 'train':
            absent = set(range(len(scan.classes))) - {scan.samples[i][1] for i in chosen}
            if absent:
                names = ', '.join(scan.classes[label] for label in sorted(absent))
                log_once(
                    f'{self._split()}: all images of {names} are held out, none is trained on'
                )
        return chosen

    def _without_seen(self, scan: FolderScan, chosen: list[int]) -> list[int]:
        """Move photos that an earlier training has seen to the part for training."""
        if self.trained_on is None:
            return chosen
        seen = find_seen(self.trained_on, scan)
        if self.part == 'train':
            return sorted(seen.union(chosen))
        return [i for i in chosen if i not in seen]

    def _split(self) -> str:
        if self.fold is None:
            return f'val_fraction {self.val_fraction}'
        return f'fold {self.fold[0]}, counted from 0, of {self.fold[1]}'

    def extra_repr(self) -> list[str]:
        """Return the lines that describe the part."""
        return [
            f'Folder: \t{self.img_prefix}',
            f'Part: \t{self.part} ({self._split()}, seed {self.seed})',
        ]

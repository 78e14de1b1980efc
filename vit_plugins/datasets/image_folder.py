"""A dataset of class folders that splits off its own validation images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmpretrain.datasets import CustomDataset
from mmpretrain.registry import DATASETS

from .folder_scan import FolderError, FolderScan, compare_classes, log_skipped
from .photo_table import scan_photos
from .trained_photos import find_seen
from .transforms.load_photo import use_load_photo


@DATASETS.register_module()
class ImageFolder(CustomDataset):
    """Images in class folders.

    In addition to the host's ``CustomDataset`` it has a fixed stratified split for validation. It
    compares classes by name, not by number, and an empty class is an error in training. It
    supports
    more types of images: ``LoadPhoto`` loads them if the pipeline names the host's loader.

    Args:
        data_root: The folder that holds the class folders.
        part: 'all' images, or one of 'train' and 'val', which share the folder.
        val_fraction: How much of each class is for validation, if there are parts; with 0 the
            part 'train' is all images, and 'val' is refused.
        seed: The seed of the split.
        left_out: Images that are not used, as paths below ``data_root``.
        group_by: A regular expression, or a CSV file with the columns file and group: images of
            one group are not split, see ``find_groups``.
        labels: A CSV file with the columns file and class, instead of class folders.
        trained_on: The table of the photos that an earlier training has seen, see
            ``write_trained_photos``: none of them is held out. They are in the part 'train' and
            in no other part.
        metainfo: If it holds ``classes``, the class folders must have these names; with
            ``test_mode=True`` some of them are enough.
        **kwargs: Further arguments of ``CustomDataset``.

    Raises:
        ValueError: If ``part`` is none of the three, none is held out for 'val', or the folders
            are not as they should be.
    """

    def __init__(
        self,
        data_root: str,
        part: str = 'all',
        val_fraction: float = 0.2,
        seed: int = 0,
        left_out: Sequence[str] = (),
        group_by: str | None = None,
        labels: str | None = None,
        trained_on: str | None = None,
        **kwargs: Any,
    ) -> None:
        if part not in ('all', 'train', 'val'):
            raise ValueError(f"part must be 'all', 'train' or 'val', got {part!r}")
        self.part = part
        self.val_fraction = val_fraction
        self.seed = seed
        self.left_out = tuple(left_out)
        self.group_by = group_by
        self.labels = labels
        self.trained_on = trained_on
        kwargs['pipeline'] = use_load_photo(kwargs.get('pipeline', ()))
        super().__init__(data_root=data_root, **kwargs)

    def _find_samples(self) -> list[tuple[str, int]]:
        """Return path and class of the images, the host's hook for where they come from."""
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
        chosen = self._without_seen(scan, scan.part(self.part, self.val_fraction, self.seed))
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

    def _without_seen(self, scan: FolderScan, chosen: list[int]) -> list[int]:
        """Move photos that an earlier training has seen to the part for training."""
        if self.trained_on is None:
            return chosen
        seen = find_seen(self.trained_on, scan)
        if self.part == 'train':
            return sorted(seen.union(chosen))
        return [i for i in chosen if i not in seen]

    def extra_repr(self) -> list[str]:
        """Return the part, to print."""
        return [
            f'Folder: \t{self.img_prefix}',
            f'Part: \t{self.part} (val_fraction {self.val_fraction}, seed {self.seed})',
        ]

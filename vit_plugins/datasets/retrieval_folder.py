"""A retrieval dataset of class folders, tested on classes that training never sees."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from mmpretrain.datasets import BaseDataset
from mmpretrain.registry import DATASETS

from ._annotations import require_split
from .folder_parts import find_parts
from .folder_scan import FolderError, log_skipped, scan_class_folders
from .splitting import hold_out_classes
from .transforms.load_photo import use_load_photo

SPLITS = ('train', 'val', 'trainval', 'test')


@DATASETS.register_module()
class RetrievalFolder(BaseDataset):
    """Images in class folders, split by class.

    The folder contains the class folders, from which a seed selects the test classes. Or it
    contains ``train`` and ``test`` (and possibly ``val``), each with different class folders.
    Validation classes are selected from the training classes in the same way, so that settings
    can be chosen without a look at a test class. Each image of a split is a query that is
    searched in the same split. ``LoadPhoto`` replaces the host's loader in the pipeline.

    Args:
        data_root: The folder.
        split: 'trainval' for all training images, 'train' and 'val' for its two halves, or
            'test'.
        test_classes: The fraction, or the number, of classes to test with if there is no
            ``test`` folder.
        val_classes: The fraction, or the number, of the other classes to validate with if there
            is no ``val`` folder.
        seed: The seed of both selections.
        left_out: Images that are not used, as paths below ``data_root``.
        **kwargs: Further arguments of ``BaseDataset``.

    Raises:
        ValueError: If ``split`` is not one of the four, or a split would have no class.
        FolderError: If the folders do not have this structure, or two splits share a class.
    """

    SOURCE = 'images of your own: DIR/CLASS/*.jpg, or DIR/train/CLASS/*.jpg and DIR/test/...'

    def __init__(
        self,
        data_root: str,
        split: str = 'trainval',
        test_classes: float | int = 0.5,
        val_classes: float | int = 0.2,
        seed: int = 0,
        left_out: Sequence[str] = (),
        **kwargs: Any,
    ) -> None:
        require_split(split, SPLITS)
        self.split = split
        self.test_classes = test_classes
        self.val_classes = val_classes
        self.seed = seed
        self.left_out = tuple(left_out)
        kwargs.setdefault('test_mode', split in ('val', 'test'))
        kwargs['pipeline'] = use_load_photo(kwargs.get('pipeline', ()))
        super().__init__(ann_file='', data_root=data_root, **kwargs)

    def load_data_list(self) -> list[dict]:
        """List the images of the split with labels from 0, in the order of the class names."""
        classes = split_class_folders(
            Path(self.data_root), self.test_classes, self.val_classes, self.seed, self.left_out
        )[self.split]
        order = {name: label for label, name in enumerate(classes)}
        self._metainfo['classes'] = tuple(order)
        return [
            {'img_path': path, 'gt_label': order[name]}
            for name, paths in classes.items()
            for path in paths
        ]

    def extra_repr(self) -> list[str]:
        """Return the lines that describe folder and split."""
        return [f'Folder: \t{self.data_root}', f'Split: \t{self.split} (seed {self.seed})']


def split_class_folders(
    root: Path,
    test_classes: float | int,
    val_classes: float | int,
    seed: int,
    left_out: Sequence[str] = (),
) -> dict[str, dict[str, list[str]]]:
    """Return the images of each class, for each split.

    Args:
        root: The folder.
        test_classes: The fraction, or the number, of classes to test with if there is no
            ``test`` folder.
        val_classes: The fraction, or the number, of the other classes to validate with if there
            is no ``val`` folder.
        seed: The seed of both selections.
        left_out: Images that are not used, as paths below ``root``.

    Returns:
        For each of 'train', 'val', 'trainval' and 'test', the images of each class, sorted.

    Raises:
        FolderError: If the folders do not have the structure of :class:`RetrievalFolder`, or two
            splits share a class.
    """
    gone = {os.path.join(root, name) for name in left_out}
    parts = {part: _images_by_class(folder, gone) for part, folder in find_parts(root).items()}
    for share, part in ((test_classes, 'test'), (val_classes, 'val')):
        if part not in parts:
            kept, held = hold_out_classes(list(parts['train']), share, seed)
            parts[part] = {name: parts['train'][name] for name in held}
            parts['train'] = {name: parts['train'][name] for name in kept}
    seen: dict[str, str] = {}
    for part, classes in parts.items():
        for name in classes:
            if name in seen:
                raise FolderError(
                    f'class {name!r} is in {part} and in {seen[name]} of {root}: retrieval is '
                    'tested on classes that training does not see, so remove it from one of them'
                )
            seen[name] = part
    parts['trainval'] = dict(sorted({**parts['train'], **parts['val']}.items()))
    return parts


def _images_by_class(folder: Path, left_out: Collection[str]) -> dict[str, list[str]]:
    scan = scan_class_folders(folder)
    log_skipped(scan)
    scan = scan.without(
        [path for path, _ in scan.samples if os.path.join(folder, path) in left_out]
    )
    images: dict[str, list[str]] = {name: [] for name in scan.classes}
    for path, label in scan.samples:
        images[scan.classes[label]].append(str(folder / path))
    return images

"""DomainNet: the same classes photographed, painted, drawn and sketched."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmpretrain.registry import DATASETS

from ._annotations import (
    AnnotationError,
    read_number,
    read_rows,
    require_counts,
)
from ._published_dataset import PublishedDataset

COLUMNS = ('path', 'label')
SPLITS = ('train', 'test')
CLASSES = 345
PUBLISHED = {  # numbers of training and test images
    'clipart': (33_525, 14_604),
    'infograph': (36_023, 15_582),
    'painting': (50_416, 21_850),
    'quickdraw': (120_750, 51_750),
    'real': (120_906, 52_041),
    'sketch': (48_212, 20_916),
}


@DATASETS.register_module()
class DomainNet(PublishedDataset):
    """One of six domains with the same 345 classes, and its official lists.

    The files are placed as they are published::

        domainnet/                data_root
            clipart_train.txt     clipart/aircraft_carrier/clipart_001_000018.jpg 0
            clipart_test.txt
            clipart/aircraft_carrier/clipart_001_000018.jpg

    Both lists are read for every split: the cleaned ``painting_train.txt`` lacks
    t-shirt (328) and ``painting_test.txt`` lacks syringe (301), and the names of the classes
    must not depend on the split. The names are those of the folders.

    Source: X. Peng et al., Moment Matching for Multi-Source Domain Adaptation, ICCV 2019.

    Args:
        data_root: The folder that contains the lists and the folders of the domains.
        domain: 'clipart', 'infograph', 'painting', 'quickdraw', 'real' or 'sketch'.
        split: 'train' or 'test'.
        check_counts: Whether the number of images must be the published one, and the number of
            classes 345.
        **kwargs: ``allow_outside``, and further arguments of ``BaseDataset``.

    Raises:
        ValueError: If there is no such domain or split.
        AnnotationError: If a list is damaged or images are missing.
    """

    SPLITS = SPLITS
    IS_CLASSIFICATION = True
    SOURCE = (
        'DomainNet, cleaned version: http://ai.bu.edu/M3SDA/, the lists from '
        'http://csr.bu.edu/ftp/visda/2019/multi-source/domainnet/txt/DOMAIN_{train,test}.txt and '
        'the images from http://csr.bu.edu/ftp/visda/2019/multi-source/: '
        'groundtruth/{clipart,painting}.zip and {infograph,quickdraw,real,sketch}.zip, unpacked '
        'so that DIR/clipart/aircraft_carrier exists (no checksums are published: the numbers of '
        'images are checked)'
    )

    def __init__(
        self,
        data_root: str,
        domain: str,
        split: str = 'train',
        check_counts: bool = True,
        **kwargs: Any,
    ) -> None:
        if domain not in PUBLISHED:
            raise ValueError(f'domain must be one of {", ".join(PUBLISHED)}, got {domain!r}')
        self.domain = domain
        super().__init__(data_root, split, check_counts, **kwargs)

    @staticmethod
    def annotation_files(data_root: str, domain: str) -> list[Path]:
        """Return the lists that are read.

        Args:
            data_root: The folder.
            domain: The domain.
        """
        return [Path(data_root, f'{domain}_{split}.txt') for split in SPLITS]

    def load_data_list(self) -> list[dict]:
        """List the images of the split with their labels, and name the classes."""
        files = dict(zip(SPLITS, self.annotation_files(self.data_root, self.domain), strict=True))
        lists = {split: read_list(path) for split, path in files.items()}
        rows = lists[self.split]
        path = files[self.split]
        names = class_names([row for found in lists.values() for row in found], path)
        if self.check_counts:
            published = PUBLISHED[self.domain][SPLITS.index(self.split)]
            found = {'images': len(rows), 'classes': len(names)}
            require_counts(path, found, {'images': published, 'classes': CLASSES})
        self._metainfo['classes'] = names
        images = self.place(self.data_root, [image for image, _ in rows], path)
        return [{'img_path': i, 'gt_label': y} for i, (_, y) in zip(images, rows, strict=True)]

    def extra_repr(self) -> list[str]:
        """Return the lines that describe folder, domain and split."""
        return [
            f'Folder: \t{self.data_root}',
            f'Domain: \t{self.domain}',
            f'Split: \t{self.split}',
        ]


def read_list(path: Path) -> list[tuple[str, int]]:
    """Read the images of a list and their labels.

    Args:
        path: The list.

    Raises:
        AnnotationError: If it is damaged.
    """
    return [(image, read_number(y, path, line)) for line, (image, y) in read_rows(path, COLUMNS)]


def class_names(rows: Sequence[tuple[str, int]], source: Path) -> tuple[str, ...]:
    """Name the classes after the folders of their images.

    Args:
        rows: Paths, as ``domain/class/file``, and labels.
        source: The list, for the message.

    Returns:
        The names in the order of their labels. The labels must be 0, 1, 2, ... without a gap.

    Raises:
        AnnotationError: If folders and labels do not match one to one, or a label is missing.
    """
    pairs = sorted({(label, Path(image).parent.name) for image, label in rows})
    names: dict[str, int] = {}
    for place, (label, name) in enumerate(pairs):
        if label == place and name not in names:
            names[name] = label
        elif label == place:
            raise AnnotationError(
                f'{source} or its other half gives the folder {name!r} two labels, '
                f'{names[name]} and {label}'
            )
        else:
            raise AnnotationError(
                f'{source} and its other half must give each folder a label of its own, from 0 '
                f'on: {place} was expected, got {label} for {name!r}'
            )
    return tuple(names)

"""ImageNet-V2: new test images for the classes of ImageNet-1k."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mmpretrain.datasets import BaseDataset
from mmpretrain.datasets.categories import IMAGENET_CATEGORIES
from mmpretrain.registry import DATASETS

from ._annotations import AnnotationError, require_counts
from .folder_scan import list_images

PUBLISHED = {'images': 10_000, 'classes': 1_000}


@DATASETS.register_module()
class ImageNetV2(BaseDataset):
    """10,000 new test images for classifiers of ImageNet-1k, ten of each class.

    The files are placed as they are published::

        imagenetv2-matched-frequency-format-val/    data_root
            0/                                      the label itself
            1/
            10/

    Folders are named by label. Sorted as strings their order is 0, 1, 10, 100, ...: numbering the
    sorted folders, as is usual for class folders, would give nearly every class a wrong label.

    Source: B. Recht et al., Do ImageNet Classifiers Generalize to ImageNet?, ICML 2019.

    Args:
        data_root: The folder that contains the folders 0 to 999.
        check_counts: Whether the numbers of images and classes must be the published ones.
        **kwargs: Further arguments of ``BaseDataset``.

    Raises:
        AnnotationError: If a folder is not named by a label, or images are missing.
    """

    METAINFO = {'classes': IMAGENET_CATEGORIES}
    IS_CLASSIFICATION = True
    SOURCE = (
        'ImageNet-V2: https://huggingface.co/datasets/vaishaal/ImageNetV2, '
        'imagenetv2-matched-frequency.tar.gz (or the threshold0.7 or top-images variant), '
        'unpacked so that DIR/0 to DIR/999 exist'
    )

    def __init__(self, data_root: str, check_counts: bool = True, **kwargs: Any) -> None:
        self.check_counts = check_counts
        kwargs.setdefault('test_mode', True)
        super().__init__(ann_file='', data_root=data_root, **kwargs)

    @staticmethod
    def annotation_files(data_root: str) -> list[Path]:
        """Return the folder of the first class, which must exist.

        Args:
            data_root: The folder.
        """
        return [Path(data_root, '0')]

    def load_data_list(self) -> list[dict]:
        """List the images with the labels that their folders are named by."""
        root = Path(self.data_root)
        folders = {read_label(entry): entry for entry in root.iterdir() if entry.is_dir()}
        data = [
            {'img_path': str(folder / image), 'gt_label': label}
            for label, folder in sorted(folders.items())
            for image in list_images(folder)[0]
        ]
        if self.check_counts:
            classes = len({info['gt_label'] for info in data})
            require_counts(root, {'images': len(data), 'classes': classes}, PUBLISHED)
        return data

    def extra_repr(self) -> list[str]:
        """Return the lines that describe the folder."""
        return [f'Folder: \t{self.data_root}']


def read_label(folder: Path) -> int:
    """Read the label that a folder is named by.

    Args:
        folder: The folder.

    Raises:
        AnnotationError: If its name is no label.
    """
    # '007' and '7' would be one class
    if folder.name not in map(str, range(len(IMAGENET_CATEGORIES))):
        raise AnnotationError(
            f'{folder}: the folders of ImageNet-V2 are named 0 to 999 by class number, got '
            f'{folder.name!r}: give the folder that contains these folders only'
        )
    return int(folder.name)

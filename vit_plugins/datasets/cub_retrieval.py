"""CUB-200-2011 as a retrieval benchmark: 100 species to train with, 100 others to test with."""

from __future__ import annotations

from pathlib import Path

from mmpretrain.registry import DATASETS

from ._annotations import (
    AnnotationError,
    read_number,
    read_rows,
    require_counts,
)
from ._published_dataset import PublishedDataset

CLASSES = {'train': range(1, 101), 'test': range(101, 201)}  # numbered as in the file
PUBLISHED = {
    'train': {'images': 5_864, 'classes': 100},
    'test': {'images': 5_924, 'classes': 100},
}


@DATASETS.register_module()
class CUBRetrieval(PublishedDataset):
    """11,788 photos of 200 birds: classes 1 to 100 for training, 101 to 200 for the test.

    ``train_test_split.txt``, which the host's ``CUB`` uses, splits the images of each class for
    classification and is not read. Each test image is searched among the other test images. The
    files are placed as they are published::

        CUB_200_2011/                 data_root
            images.txt                image_id path
            image_class_labels.txt    image_id class_id
            images/001.Black_footed_Albatross/Black_Footed_Albatross_0046_18.jpg

    Source: C. Wah et al., The Caltech-UCSD Birds-200-2011 Dataset, 2011.

    Args:
        data_root: The folder that contains the lists.
        split: 'train' or 'test'.
        check_counts: Whether the numbers of images and classes must be the published ones.
        **kwargs: ``allow_outside``, and further arguments of ``BaseDataset``.

    Raises:
        ValueError: If ``split`` is not one of the two.
        AnnotationError: If a list is damaged or images are missing.
    """

    SPLITS = tuple(CLASSES)
    SOURCE = (
        'CUB-200-2011: https://www.vision.caltech.edu/datasets/cub_200_2011/, unpacked so that '
        'DIR/CUB_200_2011/images.txt exists'
    )

    @staticmethod
    def annotation_files(data_root: str) -> list[Path]:
        """Return the lists that are read.

        Args:
            data_root: The folder.
        """
        return [Path(data_root, name) for name in ('images.txt', 'image_class_labels.txt')]

    def load_data_list(self) -> list[dict]:
        """List the images of the split with their labels, numbered from 0."""
        images_file, labels_file = self.annotation_files(self.data_root)
        names = _by_image(images_file, 'path')
        classes = {
            image: (line, read_number(text, labels_file, line))
            for image, (line, text) in _by_image(labels_file, 'class_id').items()
        }
        if names.keys() != classes.keys():
            lone = sorted(names.keys() ^ classes.keys(), key=int)
            raise AnnotationError(
                f'{images_file} and {labels_file} list different images: {len(lone)} are only in '
                f'one of them, the first is {lone[0]}; download both again'
            )
        for line, class_id in classes.values():
            if not 1 <= class_id <= 200:
                raise AnnotationError(
                    f'{labels_file}, line {line}: classes go from 1 to 200, got {class_id}'
                )
        wanted = CLASSES[self.split]
        chosen = [
            (name, classes[image][1] - wanted[0])
            for image, (_, name) in names.items()
            if classes[image][1] in wanted
        ]
        if self.check_counts:
            found = {'images': len(chosen), 'classes': len({label for _, label in chosen})}
            require_counts(labels_file, found, PUBLISHED[self.split])
        folder = Path(self.data_root, 'images')
        images = self.place(folder, [name for name, _ in chosen], images_file)
        return [
            {'img_path': image, 'gt_label': label}
            for image, (_, label) in zip(images, chosen, strict=True)
        ]


def _by_image(path: Path, column: str) -> dict[str, tuple[int, str]]:
    """Read line and value of each image."""
    table = {}
    for line, (image, value) in read_rows(path, ('image_id', column)):
        read_number(image, path, line)
        if image in table:
            raise AnnotationError(f'{path}, line {line}: image {image} is listed a second time')
        table[image] = (line, value)
    return table

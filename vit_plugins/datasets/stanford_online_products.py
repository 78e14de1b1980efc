"""Stanford Online Products: photos of articles, each article a class."""

from __future__ import annotations

from pathlib import Path

from mmpretrain.registry import DATASETS

from ._annotations import (
    dense_labels,
    read_number,
    read_rows,
    require_counts,
)
from ._published_dataset import PublishedDataset

COLUMNS = ('image_id', 'class_id', 'super_class_id', 'path')
PUBLISHED = {
    'train': {'images': 59_551, 'classes': 11_318},
    'test': {'images': 60_502, 'classes': 11_316},
}


@DATASETS.register_module()
class StanfordOnlineProducts(PublishedDataset):
    """120,053 photos of 22,634 articles. The test photos show other articles than training.

    Each test image is searched among the other test images. The files are placed as they are
    published::

        Stanford_Online_Products/     data_root
            Ebay_train.txt            image_id class_id super_class_id path
            Ebay_test.txt
            bicycle_final/111085122871_0.JPG

    Source: H. O. Song et al., Deep Metric Learning via Lifted Structured Feature Embedding, 2016.

    Args:
        data_root: The folder that contains the lists.
        split: 'train' or 'test'.
        check_counts: Whether the numbers of images and classes must be the published ones.
        **kwargs: ``allow_outside``, and further arguments of ``BaseDataset``.

    Raises:
        ValueError: If ``split`` is not one of the two.
        AnnotationError: If a list is damaged or images are missing.
    """

    SPLITS = tuple(PUBLISHED)
    SOURCE = (
        'Stanford Online Products: https://cvgl.stanford.edu/projects/lifted_struct/, unpacked '
        'so that DIR/Stanford_Online_Products/Ebay_train.txt exists'
    )

    @staticmethod
    def annotation_files(data_root: str, split: str = 'train') -> list[Path]:
        """Return the lists that are read.

        Args:
            data_root: The folder.
            split: 'train' or 'test'.
        """
        return [Path(data_root, f'Ebay_{split}.txt')]

    def load_data_list(self) -> list[dict]:
        """List the images of the split with their labels, numbered from 0."""
        (path,) = self.annotation_files(self.data_root, self.split)
        rows = list(read_rows(path, COLUMNS, header=True))
        classes = [read_number(class_id, path, line) for line, (_, class_id, _, _) in rows]
        names = [name for _, (_, _, _, name) in rows]
        if self.check_counts:
            found = {'images': len(names), 'classes': len(set(classes))}
            require_counts(path, found, PUBLISHED[self.split])
        images = self.place(self.data_root, names, path)
        labels = dense_labels(classes)
        return [{'img_path': i, 'gt_label': y} for i, y in zip(images, labels, strict=True)]

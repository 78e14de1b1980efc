"""DeepFashion In-Shop: photos of clothes, each piece a class."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmpretrain.registry import DATASETS

from ._annotations import (
    AnnotationError,
    dense_labels,
    read_number,
    read_rows,
    read_text,
    require_counts,
)
from ._published_dataset import PublishedDataset

COLUMNS = ('image_name', 'item_id', 'evaluation_status')
STATUSES = ('train', 'query', 'gallery')
PARTS = {'train': ('train',), 'test': ('query', 'gallery')}
PARTS |= {status: (status,) for status in STATUSES}
PUBLISHED = {
    'train': {'train images': 25_882, 'train items': 3_997},
    'query': {'query images': 14_218, 'query items': 3_985},
    'gallery': {'gallery images': 12_612, 'gallery items': 3_985},
}


@DATASETS.register_module()
class InShopRetrieval(PublishedDataset):
    """52,712 photos of 7,982 pieces. Queries are searched in a gallery of the same pieces.

    The host's ``InShop`` labels a query with a list of positions in the gallery, for score
    matrices. Here query and gallery are one dataset with class labels and roles, for metrics that
    read embeddings. The files are placed as they are published::

        In-shop Clothes Retrieval Benchmark/    data_root
            Eval/list_eval_partition.txt        or beside Img
            Img/img/WOMEN/Dresses/id_00000002/02_1_front.jpg

    Source: Z. Liu et al., DeepFashion: Powering Robust Clothes Recognition and Retrieval, 2016.

    Args:
        data_root: The folder.
        split: 'train'; 'test', which is 'query' and 'gallery' together; or one of these two.
        img_folder: The folder below ``data_root`` that the names of the list are relative to.
        check_counts: Whether the numbers of images and pieces must be the published ones.
        **kwargs: ``allow_outside``, and further arguments of ``BaseDataset``.

    Raises:
        ValueError: If ``split`` is not one of the four.
        AnnotationError: If the list is damaged or images are missing.
    """

    SPLITS = tuple(PARTS)
    TEST_SPLITS = tuple(part for part in PARTS if part != 'train')
    SOURCE = (
        'In-Shop Clothes Retrieval: '
        'https://mmlab.ie.cuhk.edu.hk/projects/DeepFashion/InShopRetrieval.html, '
        'Eval/list_eval_partition.txt and Img/img.zip, unpacked so that DIR/Img/img exists'
    )

    def __init__(
        self,
        data_root: str,
        split: str = 'train',
        img_folder: str = 'Img',
        check_counts: bool = True,
        **kwargs: Any,
    ) -> None:
        self.img_folder = img_folder
        super().__init__(data_root, split, check_counts, **kwargs)

    @staticmethod
    def annotation_files(data_root: str) -> list[Path]:
        """Return the list that is read: the one in ``Eval``, or the one at the root.

        Args:
            data_root: The folder.
        """
        paths = [Path(data_root, folder, 'list_eval_partition.txt') for folder in ('Eval', '')]
        return [next((path for path in paths if path.is_file()), paths[0])]

    def load_data_list(self) -> list[dict]:
        """List the images of the split with labels from 0, and the roles of test images."""
        (path,) = self.annotation_files(self.data_root)
        rows = self._read(path)
        chosen = [row for row in rows if row[2] in PARTS[self.split]]
        if self.check_counts:
            published = {name: n for s in PARTS[self.split] for name, n in PUBLISHED[s].items()}
            require_counts(path, count_parts(chosen), published)
        folder = Path(self.data_root, self.img_folder)
        images = self.place(folder, [name for name, _, _ in chosen], path)
        # query and gallery share the numbers, even if only one of them is listed
        held = [item for _, item, status in rows if (status == 'train') == (self.split == 'train')]
        order = dict(zip(held, dense_labels(held), strict=True))
        data = []
        for image, (_, item, status) in zip(images, chosen, strict=True):
            role = {} if status == 'train' else {'role': status}
            data.append({'img_path': image, 'gt_label': order[item], **role})
        return data

    def _read(self, path: Path) -> list[list[str]]:
        first = read_text(path).lstrip().split('\n', 1)[0].strip()
        stated = read_number(first, path, 1)
        table = list(read_rows(path, COLUMNS, header=True, skip=1))
        if len(table) != stated:
            raise AnnotationError(
                f'{path}, line 1: {stated:,} images are announced, but {len(table):,} rows '
                'follow: download the file again'
            )
        for line, (_, _, status) in table:
            if status not in STATUSES:
                raise AnnotationError(
                    f'{path}, line {line}: the status must be one of {", ".join(STATUSES)}, got '
                    f'{status!r}'
                )
        return [fields for _, fields in table]


def count_parts(rows: Sequence[Sequence[str]]) -> dict[str, int]:
    """Count images and pieces of each status.

    Args:
        rows: Name, item and status of each image.
    """
    counts = {}
    for status in STATUSES:
        items = [item for _, item, found in rows if found == status]
        counts |= {f'{status} images': len(items), f'{status} items': len(set(items))}
    return counts

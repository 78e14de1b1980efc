"""Revisited Oxford and Paris: retrieval of landmarks, with boxes and grades of difficulty."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmpretrain.registry import DATASETS

from ._annotations import (
    AnnotationError,
    ListedImages,
    naming,
    read_text,
    require_counts,
)
from ._restricted_pickle import load_restricted_pickle

PUBLISHED = {
    'roxford5k': {'images': 4_993, 'queries': 70},
    'rparis6k': {'images': 6_322, 'queries': 70},
}
DISTRACTORS = 'revisitop1m'
GRADES = ('easy', 'hard', 'junk')


@DATASETS.register_module()
class RevisitedOxfordParis(ListedImages):
    """70 queries, each with a box, and the photos in which they are searched.

    A sample has a ``role``, 'query' or 'gallery', and ``image_idx``, its index in the list of its
    role. A query also has ``crop_box`` for the transform ``CropToBox``, which must stand before
    any resizing. ``metainfo['revisited_gnd']`` lists for each query the indices of its ``easy``,
    ``hard`` and ``junk`` photos. The files are placed as they are published, and as the authors'
    code for SfM-120k unpacks them::

        data_root
            test/roxford5k/gnd_roxford5k.pkl
            test/roxford5k/jpg/all_souls_000013.jpg
            test/rparis6k/...                        likewise
            test/revisitop1m/revisitop1m.txt         only with distractors
            test/revisitop1m/jpg/...

    Source: F. Radenovic et al., Revisiting Oxford and Paris: Large-Scale Image Retrieval
    Benchmarking, CVPR 2018.

    Args:
        data_root: The folder that contains ``test``.
        name: 'roxford5k' or 'rparis6k'.
        distractors: Whether to add the million photos of ``revisitop1m`` to the gallery.
        check_counts: Whether the numbers of images and queries must be the published ones.
        **kwargs: ``allow_outside``, and further arguments of ``BaseDataset``.

    Raises:
        ValueError: If ``name`` is not one of the two.
        AnnotationError: If the annotation is damaged or images are missing.
        pickle.UnpicklingError: If the annotation contains other objects than plain values.
    """

    SOURCE = (
        'Revisited Oxford and Paris: http://cmp.felk.cvut.cz/revisitop/, the photos from '
        'https://www.robots.ox.ac.uk/~vgg/data/oxbuildings/ and /parisbuildings/, placed so that '
        'DIR/test/roxford5k/gnd_roxford5k.pkl and DIR/test/roxford5k/jpg exist, rparis6k and '
        'revisitop1m alike'
    )

    def __init__(
        self,
        data_root: str,
        name: str = 'roxford5k',
        distractors: bool = False,
        check_counts: bool = True,
        **kwargs: Any,
    ) -> None:
        if name not in PUBLISHED:
            raise ValueError(f'name must be one of {", ".join(PUBLISHED)}, got {name!r}')
        self.name = name
        self.distractors = distractors
        self.check_counts = check_counts
        kwargs.setdefault('test_mode', True)
        super().__init__(data_root, **kwargs)

    @staticmethod
    def annotation_files(
        data_root: str, name: str = 'roxford5k', distractors: bool = False
    ) -> list[Path]:
        """Return the files that are read.

        Args:
            data_root: The folder.
            name: 'roxford5k' or 'rparis6k'.
            distractors: Whether the list of the million distractors is read as well.
        """
        files = [Path(data_root, 'test', name, f'gnd_{name}.pkl')]
        if distractors:
            files.append(Path(data_root, 'test', DISTRACTORS, f'{DISTRACTORS}.txt'))
        return files

    def load_data_list(self) -> list[dict]:
        """List the queries, the photos of the gallery, and the distractors."""
        path, *more = self.annotation_files(self.data_root, self.name, self.distractors)
        images, queries, truth = read_ground_truth(path)
        if self.check_counts:
            found = {'images': len(images), 'queries': len(queries)}
            require_counts(path, found, PUBLISHED[self.name])
        folder = path.parent / 'jpg'
        placed = self.place(folder, [f'{name}.jpg' for name in (*queries, *images)], path)
        gallery = placed[len(queries) :]
        data = [
            {'img_path': image, 'crop_box': entry.pop('bbx')}
            for image, entry in zip(placed, truth, strict=False)  # the queries come first
        ]
        for listing in more:
            gallery += self.place(listing.parent / 'jpg', read_text(listing).split(), listing)
        self._metainfo['revisited_gnd'] = truth
        for index, info in enumerate(data):
            info.update(role='query', image_idx=index)
        data += [
            {'img_path': image, 'role': 'gallery', 'image_idx': index}
            for index, image in enumerate(gallery)
        ]
        return data

    def extra_repr(self) -> list[str]:
        """Return the lines that describe folder and set."""
        added = f' with {DISTRACTORS}' if self.distractors else ''
        return [f'Folder: \t{self.data_root}', f'Set: \t{self.name}{added}']


def read_ground_truth(path: Path) -> tuple[list[str], list[str], list[dict]]:
    """Load and check the annotation in a ``gnd_*.pkl`` file.

    Args:
        path: The file.

    Returns:
        The names of the photos, the names of the queries, and for each query its box ``bbx``
        (x1, y1, x2, y2) and its ``easy``, ``hard`` and ``junk`` photos as indices.

    Raises:
        AnnotationError: If something is missing, out of range, or of another length.
        pickle.UnpicklingError: If the file contains other objects than plain values.
    """
    content = load_restricted_pickle(path)
    with naming(path):
        return _check_ground_truth(content, path)


def _check_ground_truth(content: Any, path: Path) -> tuple[list[str], list[str], list[dict]]:
    keys = ('imlist', 'qimlist', 'gnd')
    lacks = [key for key in keys if not isinstance(content, dict) or key not in content]
    if lacks:
        raise AnnotationError(f'{path} lacks {", ".join(lacks)}: fetch it again')
    images, queries = ([str(name) for name in content[key]] for key in keys[:2])
    truth = content['gnd']
    if len(truth) != len(queries):
        raise AnnotationError(
            f"{path}: {len(queries)} 'qimlist' but {len(truth)} 'gnd': fetch the file again"
        )
    checked = [
        _check_entry(entry, len(images), f'{path}, query {number} ({queries[number]})')
        for number, entry in enumerate(truth)
    ]
    return images, queries, checked


def _check_entry(entry: dict, count: int, where: str) -> dict:
    lacks = [key for key in ('bbx', *GRADES) if key not in entry]
    if lacks:
        raise AnnotationError(f'{where}: lacks {", ".join(lacks)}')
    box = _numbers(entry['bbx'], float)
    if len(box) != 4 or not (box[0] < box[2] and box[1] < box[3]):
        raise AnnotationError(f"{where}: 'bbx' must be x1 < x2, y1 < y2, got {box}")
    checked = {'bbx': box}
    for grade in GRADES:
        checked[grade] = _numbers(entry[grade], int)
        wrong = [index for index in checked[grade] if not 0 <= index < count]
        if wrong:
            raise AnnotationError(
                f'{where}: {grade!r} names photo {wrong[0]}, but there are {count} photos'
            )
    return checked


def _numbers(values: Sequence, kind: type) -> list:
    """Return the numbers of a list or array of any shape; if it is empty, its type is ignored."""
    return [kind(value) for value in np.ravel(values).tolist()]

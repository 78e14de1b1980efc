"""SfM-120k: photos of landmarks, grouped by the 3D model that they were registered to."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.logging import print_log
from mmpretrain.registry import DATASETS

from ._annotations import (
    AnnotationError,
    ListedImages,
    dense_labels,
    naming,
    require_split,
)
from ._restricted_pickle import load_restricted_pickle

FOLDER = 'train/retrieval-SfM-120k'
SPLITS = ('train', 'val', 'whiten')
PUBLISHED_MODELS = {'train': 551, 'val': 162}  # 3D models


@DATASETS.register_module()
class SfM120k(ListedImages):
    """Photos with the number of their 3D model, and pairs that show the same object.

    The label of an image is its 3D model, numbered from 0. ``pairs`` contains the published
    (query, positive) pairs, for ``TupleSampler``. The files are placed as they are published, and
    as the authors' code unpacks them::

        data_root
            train/retrieval-SfM-120k/retrieval-SfM-120k.pkl
            train/retrieval-SfM-120k/retrieval-SfM-120k-whiten.pkl
            train/retrieval-SfM-120k/ims/65/43/21/abcdef123456

    Source: F. Radenovic, G. Tolias, O. Chum, Fine-Tuning CNN Image Retrieval with No Human
    Annotation, TPAMI 2019.

    Args:
        data_root: The folder that contains ``train/retrieval-SfM-120k``.
        split: 'train', 'val' or 'whiten'. The pairs of 'whiten' are those of the authors'
            whitening and are also in ``metainfo['whitening_pairs']``. It has no 3D models: all
            labels are -1.
        **kwargs: ``allow_outside``, and further arguments of ``BaseDataset``.

    Attributes:
        pairs: Indices (P, 2) of query and positive among the images of the split, int64.

    Raises:
        ValueError: If ``split`` is not one of the three.
        AnnotationError: If the annotation is damaged or images are missing.
        pickle.UnpicklingError: If the annotation contains other objects than plain values.
    """

    SOURCE = (
        'SfM-120k: retrieval-SfM-120k.pkl, retrieval-SfM-120k-whiten.pkl and ims.tar.gz of '
        'http://cmp.felk.cvut.cz/cnnimageretrieval/data/train/, placed so that '
        f'DIR/{FOLDER}/retrieval-SfM-120k.pkl and DIR/{FOLDER}/ims exist'
    )

    def __init__(self, data_root: str, split: str = 'train', **kwargs: Any) -> None:
        require_split(split, SPLITS)
        self.split = split
        self.pairs = np.zeros((0, 2), np.int64)
        kwargs.setdefault('test_mode', split != 'train')
        super().__init__(data_root, **kwargs)

    @staticmethod
    def annotation_files(data_root: str, split: str = 'train') -> list[Path]:
        """Return the file that is read.

        Args:
            data_root: The folder.
            split: 'train', 'val' or 'whiten'.
        """
        suffix = '-whiten' if split == 'whiten' else ''
        return [Path(data_root, FOLDER, f'retrieval-SfM-120k{suffix}.pkl')]

    def load_data_list(self) -> list[dict]:
        """List the images with the number of their 3D model, and store the pairs."""
        (path,) = self.annotation_files(self.data_root, self.split)
        part = self._read(path)
        folder = path.parent / 'ims'
        with naming(path):
            cids = [str(cid) for cid in part['cids']]
            self.pairs = read_pairs(part, len(cids), path)
            names = [image_path(cid, path) for cid in cids]
            labels = [-1] * len(cids)
            if self.split == 'whiten':
                self._metainfo['whitening_pairs'] = self.pairs.tolist()
            else:
                labels = self._number_models(part['cluster'], len(cids), path)
        images = self.place(folder, names, path)
        return [{'img_path': i, 'gt_label': y} for i, y in zip(images, labels, strict=True)]

    def _number_models(self, models: Sequence[int], count: int, path: Path) -> list[int]:
        if len(models) != count:
            raise AnnotationError(
                f"{path}: {self.split!r} has {count} 'cids' but {len(models)} 'cluster'"
            )
        labels = dense_labels([int(model) for model in models])
        found, published = len(set(labels)), PUBLISHED_MODELS[self.split]
        if found != published:
            print_log(
                f'{path} has {found} 3D models in {self.split!r}, the paper tells of {published}: '
                'is it the whole file?',
                logger='current',
                level=logging.WARNING,
            )
        return labels

    def _read(self, path: Path) -> dict:
        content = load_restricted_pickle(path)
        wanted = ['cids', 'qidxs', 'pidxs']
        if self.split != 'whiten':
            content = content.get(self.split) if isinstance(content, dict) else None
            wanted.append('cluster')
        lacks = [key for key in wanted if not isinstance(content, dict) or key not in content]
        if lacks:
            raise AnnotationError(f'{path} lacks {", ".join(lacks)} of {self.split!r}')
        return content

    def extra_repr(self) -> list[str]:
        """Return the lines that describe folder, split and number of pairs."""
        return [
            f'Folder: \t{self.data_root}',
            f'Split: \t{self.split}',
            f'Pairs: \t{len(self.pairs)}',
        ]


def image_path(cid: str, source: Path) -> str:
    """Return the path of an image below ``ims``.

    Args:
        cid: The name of the image, of at least six letters.
        source: The annotation, for the message.

    Raises:
        AnnotationError: If the name is too short.

    Examples:
        >>> image_path('0f9e8d7c6b', Path())
        '6b/7c/8d/0f9e8d7c6b'
    """
    if len(cid) < 6:
        raise AnnotationError(
            f'{source}: {cid!r} is not the name of an image, because it has fewer than 6 letters'
        )
    return f'{cid[-2:]}/{cid[-4:-2]}/{cid[-6:-4]}/{cid}'


def read_pairs(part: dict[str, Sequence[int]], count: int, source: Path) -> np.ndarray:
    """Return the pairs of query and positive.

    Args:
        part: The annotation of a split.
        count: The number of its images.
        source: The annotation, for the message.

    Returns:
        Indices (P, 2), int64.

    Raises:
        AnnotationError: If the two lists differ in length, or an index is out of range.
    """
    queries, positives = (np.asarray(part[key], np.int64) for key in ('qidxs', 'pidxs'))
    if queries.shape != positives.shape:
        raise AnnotationError(
            f"{source}: {len(queries)} 'qidxs' do not pair with {len(positives)} 'pidxs'"
        )
    pairs = np.stack([queries, positives], axis=1).reshape(-1, 2)  # (P, 2)
    wrong = np.flatnonzero((pairs < 0).any(1) | (pairs >= count).any(1))
    if len(wrong):
        raise AnnotationError(
            f'{source}: pair {wrong[0]} is {tuple(pairs[wrong[0]].tolist())}, but there are only '
            f'{count} images'
        )
    return pairs

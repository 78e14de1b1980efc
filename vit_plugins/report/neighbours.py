"""Find the most similar images for some images of a split with a retriever."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from mmengine.model import BaseModel
from torch import Tensor
from torch.utils.data import DataLoader

from ..evaluation.functional.probes import nearest_neighbors
from ..fileio.progress_bar import tracked
from ..inference.describing import descriptors_of_batch

FOUND = 6  # neighbours of a query that are shown


@dataclass(frozen=True)
class Neighbours:
    """The most similar images of each query.

    Attributes:
        queries: Indices of the query images, (Q,).
        found: Indices of the images found, (Q, k), the most similar first.
        cosines: Their similarities, (Q, k).
        labels: The classes of all images, (N,).
    """

    queries: np.ndarray
    found: np.ndarray
    cosines: np.ndarray
    labels: np.ndarray

    @property
    def right(self) -> np.ndarray:
        """Whether the images found have the query's class, bool (Q, k)."""
        return self.labels[self.found] == self.labels[self.queries, None]

    @property
    def sure_mistakes(self) -> np.ndarray:
        """Rows of the queries whose first neighbour has another class, the most similar first."""
        wrong = np.flatnonzero(~self.right[:, 0])
        return wrong[np.argsort(-self.cosines[wrong, 0], kind='stable')]


@torch.no_grad()
def find_neighbours(model: BaseModel, loader: DataLoader, count: int = FOUND) -> Neighbours:
    """Search the images of a loader for each other, or its queries among its gallery.

    Args:
        model: A retriever, in evaluation mode.
        loader: Its images, each with one label.
        count: How many images to find for each query; fewer if there are fewer images.

    Raises:
        ValueError: If the images have no labels, or there is no image to find.
    """
    vectors, labels, roles = [], [], []
    for batch in tracked(loader, len(loader), 'Describing'):
        for sample in descriptors_of_batch(model, batch):
            if 'gt_label' not in sample:
                raise ValueError('the images have no class labels')
            vectors.append(sample.embedding.float().cpu())
            labels.append(int(sample.gt_label))
            roles.append(sample.get('role') or '')
    role = np.array(roles)
    queries, gallery = np.flatnonzero(role != 'gallery'), np.flatnonzero(role != 'query')
    found, cosines = _search(torch.stack(vectors), queries, gallery, count)
    return Neighbours(queries, found, cosines, np.array(labels))


def _search(
    vectors: Tensor, queries: np.ndarray, gallery: np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray]:
    count = min(count, len(gallery) - 1)
    if count < 1 or not len(queries):
        raise ValueError('there are too few images to find one another')
    cosines, found = nearest_neighbors(vectors[queries], vectors[gallery], count + 1)
    found = gallery[found.numpy()]  # (Q, count + 1)
    # the query itself goes last, wherever it was ranked
    order = np.argsort(found == queries[:, None], axis=1, kind='stable')[:, :count]
    taken = (np.take_along_axis(a, order, axis=1) for a in (found, cosines.numpy()))
    return tuple(taken)

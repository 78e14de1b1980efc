"""Predict the classes of the images of a split with a trained classifier."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from mmengine.model import BaseModel
from torch.utils.data import DataLoader

from ..evaluation.functional.confusion import count_pairs
from ..fileio.progress_bar import tracked


@dataclass(frozen=True)
class Predictions:
    """The predictions of a classifier for images, with their labels.

    Attributes:
        probabilities: The probability of each class, (N, K), float64. Scores that do not add up to
            1, such as those of sigmoids, are divided by their sum.
        labels: The classes of the images, (N,).
    """

    probabilities: np.ndarray
    labels: np.ndarray

    @property
    def named(self) -> np.ndarray:
        """The most probable classes, (N,)."""
        return self.probabilities.argmax(axis=1)

    @property
    def confidence(self) -> np.ndarray:
        """The probabilities of the most probable classes, (N,)."""
        return self.probabilities.max(axis=1)

    @property
    def right(self) -> np.ndarray:
        """Whether the most probable classes are the labels, bool (N,)."""
        return self.named == self.labels

    @property
    def confusion(self) -> np.ndarray:
        """Counts (K, K): images of class i that are predicted as j."""
        pairs = np.stack([self.labels, self.named], axis=1)
        return count_pairs(pairs, self.probabilities.shape[1])

    @property
    def sure_mistakes(self) -> np.ndarray:
        """Indices of the images that are classified wrongly, the most confident first."""
        wrong = np.flatnonzero(~self.right)
        return wrong[np.argsort(-self.confidence[wrong], kind='stable')]


@torch.no_grad()
def predict_split(model: BaseModel, loader: DataLoader) -> Predictions:
    """Classify all images of a loader, in its order.

    Args:
        model: A classifier, in evaluation mode.
        loader: Its images, each with one label.

    Raises:
        ValueError: If an image has no label, or the model does not predict one class for it.
    """
    scores, labels = [], []
    for batch in tracked(loader, len(loader), 'Classifying'):
        for sample in model.test_step(batch):
            label, score = sample.get('gt_label'), sample.get('pred_score')
            if label is None or score is None or label.numel() != 1:
                raise ValueError('the model does not give each image one class, or has no labels')
            scores.append(score.double().cpu().numpy())
            labels.append(int(label))
    found = np.stack(scores)
    return Predictions(found / found.sum(axis=1, keepdims=True), np.array(labels))

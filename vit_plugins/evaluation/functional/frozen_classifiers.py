"""Classifiers over frozen features, as one linear layer, and the choice of their setting."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from .probes import LinearClassifier, Standardizer, accuracy, logistic_fit

PENALTIES = tuple(10 ** (-step / 2) for step in range(11))  # from strong to weak
SHARPNESSES = tuple(2.0**step for step in range(1, 11))
PATIENCE = 2  # settings in a row that are worse than the best one before the search ends
FOLDS = 5
MANY = 10_000  # features, from which on one fifth that is held out tells enough


@dataclass(frozen=True)
class Choice:
    """A setting of a classifier, chosen on features that the classifier was not fitted to.

    Attributes:
        setting: The penalty of ``'linear'``, the sharpness of ``'nearest-mean'``.
        accuracy: Of the features held out, in percent, with this setting.
        losses: Each setting that was tried to the mean cross entropy of the features held out.
    """

    setting: float
    accuracy: float
    losses: dict[float, float]


def fit_linear(
    features: Tensor,
    labels: Tensor,
    num_classes: int,
    penalty: float,
    class_weight: Tensor | None = None,
    tolerance: float = 1e-6,
) -> LinearClassifier:
    """Fit logistic regression on standardised features; the scaling is folded into the layer.

    Args:
        features: (N, D).
        labels: (N,).
        num_classes: How many classes there are, K.
        penalty: λ on standardised features, see ``logistic_fit``.
        class_weight: How much a sample of each class counts, (K,).
        tolerance: Of the gradient: 1e-4 is enough to compare penalties.
    """
    scale = Standardizer.of(features)
    fitted = logistic_fit(
        scale(features),
        labels,
        num_classes,
        penalty,
        class_weight=class_weight,
        tolerance=tolerance,
    )
    weight = fitted.weight.double() / scale.scale.double()[:, None]  # (D, K)
    bias = fitted.bias.double() - scale.mean.double() @ weight
    return LinearClassifier(weight.to(features), bias.to(features))


def fit_nearest_mean(
    features: Tensor, labels: Tensor, num_classes: int, sharpness: float
) -> LinearClassifier:
    """Score classes by the cosine to the mean of their features, each of unit length.

    The scores are those cosines times ``sharpness`` and the length of a feature over the mean
    length: the class is that of ``nearest_mean_predict``.

    Args:
        features: (N, D).
        labels: (N,), at least one of each class.
        num_classes: How many classes there are, K.
        sharpness: What turns cosines, which lie close together, into probabilities.
    """
    sums = features.new_zeros(num_classes, features.shape[1], dtype=torch.float64)
    sums.index_add_(0, labels, F.normalize(features, dim=1).double())
    length = features.double().norm(dim=1).mean()
    weight = F.normalize(sums, dim=1).T * (sharpness / length)  # (D, K)
    return LinearClassifier(weight.to(features), features.new_zeros(num_classes))


Fit = Callable[[Tensor, Tensor, int, float], LinearClassifier]
CLASSIFIERS: dict[str, tuple[Fit, Sequence[float]]] = {
    'linear': (fit_linear, PENALTIES),
    'nearest-mean': (fit_nearest_mean, SHARPNESSES),
}


def choose_setting(
    fit: Fit,
    settings: Sequence[float],
    features: Tensor,
    labels: Tensor,
    num_classes: int,
    folds: Tensor,
    class_weight: Tensor | None = None,
) -> Choice:
    """Choose the setting with the lowest cross entropy on features that are held out.

    The loss rather than the accuracy decides: it makes probabilities honest, and does not jump
    with single features. Of equals the first is taken.

    Args:
        fit: Features, labels, number of classes and a setting to a classifier.
        settings: Those to choose from, in an order in which the loss falls and then rises: the
            rest is left out once it has risen.
        features: (N, D).
        labels: (N,).
        num_classes: How many classes there are, K.
        folds: The fold of each feature, (N,), as of :func:`assign_folds`; a fold of -1 is never
            held out.
        class_weight: How much a feature of each class counts in that loss, (K,).

    Raises:
        ValueError: If no feature is held out.
    """
    held = [folds == fold for fold in range(int(folds.max()) + 1)]
    if not held:
        raise ValueError('No feature can be held out to choose a setting: name one.')
    truth = torch.cat([labels[out] for out in held])
    losses, accuracies = {}, {}
    worse = 0
    for setting in settings:
        scores = torch.cat([
            fit(features[~out], labels[~out], num_classes, setting).scores(features[out])
            for out in held
        ])  # fmt: skip
        loss = F.cross_entropy(scores, truth, class_weight).item()
        worse = 0 if loss < min(losses.values(), default=math.inf) else worse + 1
        losses[setting] = loss
        accuracies[setting] = accuracy(scores.argmax(1), truth)
        if worse == PATIENCE:
            break
    best = min(losses, key=losses.get)
    return Choice(best, accuracies[best], losses)


def assign_folds(
    labels: Tensor, groups: Sequence[str] | None = None, number: int = FOLDS, seed: int = 0
) -> Tensor:
    """Assign each feature to a fold: classes evenly, groups whole.

    Of many features only the first fold is held out, the others get -1. A class is never held out
    as a whole: a feature, or a group, without another one of its class gets -1, too.

    Args:
        labels: (N,).
        groups: What must stay together, as photos of one object; None: nothing must.
        number: How many folds.
        seed: Another seed is another assignment.

    Returns:
        The fold of each feature, (N,); -1 for those that are never held out.
    """
    names = range(len(labels)) if groups is None else groups
    members: dict[object, list[int]] = {}
    for i, name in enumerate(names):
        members.setdefault(name, []).append(i)
    units = list(members.values())
    shuffled = torch.randperm(len(units), generator=torch.Generator().manual_seed(seed))
    # a unit goes by the class of its first member; those of a class take the folds in turn
    units = sorted((units[i] for i in shuffled), key=lambda unit: int(labels[unit[0]]))
    folds = torch.empty(len(labels), dtype=torch.long)
    for place, unit in enumerate(units):
        folds[unit] = place % number
    if len(labels) > MANY:
        folds[folds > 0] = -1
    for fold in range(number):
        out = folds == fold
        lacking = set(labels[out].tolist()) - set(labels[~out].tolist())
        lost = torch.tensor([int(label) in lacking for label in labels])
        folds[out & lost] = -1
    used = folds[folds >= 0].unique()  # numbered without gaps
    return torch.where(folds < 0, -1, torch.searchsorted(used, folds.clamp(min=0)))

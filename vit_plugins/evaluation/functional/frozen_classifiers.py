"""Fit classifiers on frozen features as one linear layer, and choose their setting."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from .probes import LinearClassifier, Standardizer, accuracy, logistic_fit

PENALTIES = tuple(10 ** (-step / 2) for step in range(11))  # from strong to weak penalties
SHARPNESSES = tuple(2.0**step for step in range(1, 11))
PATIENCE = 2  # the search ends after this number of consecutive settings worse than the best
FOLDS = 5
MANY = 10_000  # number of features from which one held-out fifth is enough


@dataclass(frozen=True)
class Choice:
    """A setting of a classifier, chosen on features that the classifier was not fitted to.

    Attributes:
        setting: The penalty of ``'linear'``, the sharpness of ``'nearest-mean'``.
        accuracy: Accuracy on the held-out features with this setting, in percent.
        losses: The mean cross entropy of the held-out features, by the setting that was tried.
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
        num_classes: The number of classes, K.
        penalty: λ on standardised features, see ``logistic_fit``.
        class_weight: The weight of a sample of each class, (K,).
        tolerance: The tolerance of the gradient; 1e-4 is enough to compare penalties.
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

    The scores are those cosines times ``sharpness``, and times the length of a feature divided by
    the mean length. The predicted class is that of ``nearest_mean_predict``.

    Args:
        features: (N, D).
        labels: (N,), at least one of each class.
        num_classes: The number of classes, K.
        sharpness: The factor that turns cosines, which are close together, into probabilities.
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
    """Return the setting with the lowest cross entropy on held-out features.

    The loss decides rather than the accuracy, because it calibrates the probabilities and does not
    jump with single features. Of equal settings the first is taken.

    Args:
        fit: Function of features, labels, number of classes and a setting that returns a
            classifier.
        settings: The settings to choose from, in an order in which the loss falls and then rises;
            after it has risen, the rest is not tried.
        features: (N, D).
        labels: (N,).
        num_classes: The number of classes, K.
        folds: The fold of each feature, (N,), from :func:`assign_folds`; a fold of -1 is never
            held out.
        class_weight: The weight of a feature of each class in that loss, (K,).

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
    """Assign each feature to a fold; classes are spread evenly, and groups stay whole.

    With many features only the first fold is held out, and the others get -1. A class is never
    held out completely: the only feature, or the only group, of a class gets -1, too.

    Args:
        labels: (N,).
        groups: The group of each feature, such as photos of one object, which stay together; None:
            no groups.
        number: The number of folds.
        seed: Another seed gives another assignment.

    Returns:
        The fold of each feature, (N,); -1 for those that are never held out.
    """
    names = range(len(labels)) if groups is None else groups
    members: dict[object, list[int]] = {}
    for i, name in enumerate(names):
        members.setdefault(name, []).append(i)
    units = list(members.values())
    shuffled = torch.randperm(len(units), generator=torch.Generator().manual_seed(seed))
    # a unit counts as the class of its first member; units of a class take the folds in turn
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

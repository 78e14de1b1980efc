"""Measure the frozen features of a backbone by k-NN, few-shot and linear accuracy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mmengine.logging import print_log
from torch import Tensor

from ..datasets.class_subset import choose_per_class
from ..datasets.splitting import stratified_split
from ..evaluation.functional.probes import (
    Standardizer,
    accuracy,
    knn_predict,
    logistic_fit,
    ridge_fit,
)
from ..evaluation.functional.statistics import summarize


def probe_knn(
    train: tuple[Tensor, Tensor], test: tuple[Tensor, Tensor], k: int = 20
) -> dict[str, float]:
    """Measure the accuracy of the vote of the k nearest neighbours.

    Args:
        train: Features and labels.
        test: Features and labels.
        k: How many neighbours vote.
    """
    k = min(k, len(train[0]))
    return {f'{k}-NN': accuracy(knn_predict(test[0], *train, k=k), test[1])}


def probe_few_shot(
    train: tuple[Tensor, Tensor],
    test: tuple[Tensor, Tensor],
    shots: Sequence[int] = (1, 5, 10),
    seeds: Sequence[int] = (0, 1, 2),
    penalty: float = 1.0,
) -> dict[str, float]:
    """Measure least squares on a few images of each class, averaged over random samples.

    Args:
        train: Features and labels.
        test: Features and labels.
        shots: Numbers of images of each class. A number that the smallest class does not have is
            left out, with a message.
        seeds: The seeds of the random samples.
        penalty: λ on standardised features.
    """
    features, labels = train
    classes = int(max(labels.max(), test[1].max())) + 1
    fewest = int(labels.bincount()[labels.unique()].min())
    results = {}
    if more := [number for number in shots if number > fewest]:
        print_log(f'left out: {more} shots, the smallest class has {fewest} images')
    for number in (n for n in shots if n <= fewest):
        found = []
        for seed in seeds:
            kept = choose_per_class(
                labels.tolist(), [''] * len(labels), num_per_class=number, mode='random', seed=seed
            )
            scale = Standardizer.of(features[kept])
            fitted = ridge_fit(scale(features[kept]), labels[kept], classes, penalty)
            found.append(accuracy(fitted.predict(scale(test[0])), test[1]))
        summary = summarize(found)
        results[f'{number}-shot'] = summary.mean
        if len(found) > 1:
            results[f'{number}-shot deviation'] = summary.std
    return results


def probe_linear(
    train: tuple[Tensor, Tensor],
    test: tuple[Tensor, Tensor],
    penalties: Sequence[float] = (1e-5, 1e-4, 1e-3, 1e-2),
    seed: int = 0,
) -> dict[str, float]:
    """Measure logistic regression; the penalty is chosen on a fifth of the training images.

    Args:
        train: Features and labels.
        test: Features and labels.
        penalties: The choices of λ on standardised features; the first one is used if each class
            has only one image.
        seed: Chooses the fifth.
    """
    scale = Standardizer.of(train[0])
    features, labels = scale(train[0]), train[1]
    classes = int(max(labels.max(), test[1].max())) + 1
    best = penalties[0]
    if len(penalties) > 1:
        keys = [str(i) for i in range(len(labels))]
        kept, held = stratified_split(keys, labels.tolist(), 0.2, seed)
        scores = {}
        for penalty in penalties if held else ():
            fitted = logistic_fit(features[kept], labels[kept], classes, penalty)
            scores[penalty] = accuracy(fitted.predict(features[held]), labels[held])
        if held:
            best = max(scores, key=scores.get)
        else:
            print_log(
                f'one image of each class leaves none to choose the penalty on: {best:g}, the '
                f'first, is taken'
            )
    fitted = logistic_fit(features, labels, classes, best)
    return {'linear': accuracy(fitted.predict(scale(test[0])), test[1]), 'linear penalty': best}


def as_table(results: Mapping[str, float]) -> str:
    """Write the results as text, one line each.

    Args:
        results: Values by name.

    >>> print(as_table({'20-NN': 91.234, 'linear penalty': 1e-05}))
    20-NN               91.23
    linear penalty      1e-05
    """
    return '\n'.join(
        f'{name:<18}  {value:.6g}' if 'penalty' in name else f'{name:<18}  {value:.2f}'
        for name, value in results.items()
    )

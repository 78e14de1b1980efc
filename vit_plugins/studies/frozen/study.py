"""The study of frozen features: its cells, and the measurement of each cell."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from hashlib import sha256
from itertools import product
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...datasets.splitting import hold_out_classes, stratified_split
from ..record_file import read_record_file, write_record_file
from .features import Features
from .plan import ALL, SEARCHED, Plan, read_plan, reductions  # noqa: F401  (still importable)
from .projection import LabelledVectors, Training, pca_layer, train_projection
from .scores import (
    choose,
    colour_histogram,
    fit_linear,
    fit_nearest_mean,
    fit_trees,
    search_scores,
)


@dataclass(frozen=True)
class Step:
    """One cell of the study.

    Attributes:
        name: The part of the study and the levels, joined by ``/``.
        levels: Name of each axis to level.
        seed: The seed; 0 where nothing is random.
        settings: Everything that decides the outcome, except data and code.
        measure: The function that returns the metrics.
    """

    name: str
    levels: dict[str, str]
    seed: int
    settings: dict[str, Any]
    measure: Callable[[], dict[str, Any]]

    @property
    def fingerprint(self) -> str:
        """Return a hash of the settings."""
        text = json.dumps([self.name, self.settings], sort_keys=True)
        return sha256(text.encode()).hexdigest()[:16]


class FrozenStudy:
    """The cells of a plan, measured on features from a function.

    Args:
        plan: The plan.
        features: Maps encoder ('vit', 'cnn', 'colours'), dataset ('train', 'test', 'photos') and
            size to features.
        file: The JSON file of the records. Finished cells are not measured again, and later
            parts read the choices of earlier ones.
    """

    def __init__(
        self, plan: Plan, features: Callable[[str, str, int], Features], file: Path
    ) -> None:
        self.plan = plan
        self.features = features
        self.file = file

    def run(self, part: str, log: Callable[[str], None] = print) -> None:
        """Measure the cells of a part that have no record yet; log the cost of the first.

        Args:
            part: Name of a method that lists cells.
            log: The function that logs a line.
        """
        steps = list(getattr(self, part)())
        planned = {step.name for step in steps}
        records = {  # without cells that the plan no longer has
            name: record
            for name, record in read_record_file(self.file).items()
            if name in planned or not name.startswith(f'{part}/')
        }
        todo = [s for s in steps if records.get(s.name, {}).get('fingerprint') != s.fingerprint]
        log(f'{part}: {len(steps)} cells, {len(todo)} to do')
        for number, step in enumerate(todo):
            wall, cpu = time.perf_counter(), time.process_time()
            metrics = step.measure()
            cpu = time.process_time() - cpu
            records[step.name] = {
                'fingerprint': step.fingerprint,
                'levels': step.levels,
                'seed': step.seed,
                'settings': step.settings,
                'metrics': metrics,
                'cpu_seconds': cpu,
            }
            write_record_file(self.file, records)
            if number == 0:
                wall = time.perf_counter() - wall
                log(f'a cell takes {wall:.1f} s, {cpu:.1f} CPU s: {cpu * len(todo):.0f} for all')
            shown = {k: v for k, v in metrics.items() if not isinstance(v, list) and k != 'hits'}
            log(f'{step.name}: {json.dumps(shown)}')

    # search among classes that are not in the training

    def off_the_shelf(self) -> Iterator[Step]:
        """Yield IRT_O: each pooling, all dimensions and components fitted on training."""
        for (encoder, pooling), dims in product(self._searched(), reductions(self.plan)):
            levels = {'features': f'{encoder}-{pooling}', 'dims': dims}
            settings = {'size': self.plan.search_size}
            measure = partial(self._search_components, encoder, pooling, dims)
            yield Step('/'.join(('off_the_shelf', *levels.values())), levels, 0, settings, measure)

    def pooling(self) -> Iterator[Step]:
        """Yield Recall@1 of each pooling on the training classes; the best one is projected."""
        for encoder, pooling in self._searched():
            levels = {'features': f'{encoder}-{pooling}'}
            settings = {'size': self.plan.search_size}
            measure = partial(self._search_training_classes, encoder, pooling)
            yield Step('/'.join(('pooling', *levels.values())), levels, 0, settings, measure)

    def rates(self) -> Iterator[Step]:
        """Yield Recall@1 of each learning rate on held-out classes, by margin and KoLeo."""
        grid = product(self.plan.margins, self.plan.koleo, self.plan.rates)
        for margin, koleo, rate in grid:
            training = Training(self.plan.rate_dims, margin, koleo, rate, **self.plan.training)
            levels = {'margin': str(margin), 'koleo': str(koleo), 'rate': str(rate)}
            settings = {
                'pooling': self.best_pooling,
                'held_classes': self.plan.held_classes,
                'size': self.plan.search_size,
                **asdict(training),
            }
            measure = partial(self._search_held_classes, training)
            yield Step('/'.join(('rates', *levels.values())), levels, 0, settings, measure)

    def projection(self) -> Iterator[Step]:
        """Yield IRT_L and IRT_R: the grid of width, margin and KoLeo, tested on unseen classes."""
        grid = product(self.plan.seeds, self.plan.dims, self.plan.margins, self.plan.koleo)
        for seed, dims, margin, koleo in grid:
            rate = self.best_rate(margin, koleo)
            training = Training(dims, margin, koleo, rate, **self.plan.training)
            levels = {'dims': str(dims), 'margin': str(margin), 'koleo': str(koleo)}
            settings = {
                'pooling': self.best_pooling,
                'size': self.plan.search_size,
                **asdict(training),
            }
            name = '/'.join(('projection', *levels.values(), f'seed{seed}'))
            measure = partial(self._search_projected, training, seed)
            yield Step(name, levels, seed, settings, measure)

    def _search_components(self, encoder: str, pooling: str, dims: str) -> dict[str, Any]:
        train, test = (self._search_set(encoder, part) for part in ('train', 'test'))
        vectors = test.vectors[pooling]
        if dims != ALL:
            number, _, whitened = dims.partition('-')
            layer = pca_layer(train.vectors[pooling], int(number), bool(whitened))
            vectors = layer(vectors).detach()
        return search_scores(vectors, test.labels)

    def _search_training_classes(self, encoder: str, pooling: str) -> dict[str, Any]:
        train = self._search_set(encoder, 'train')
        scores = search_scores(train.vectors[pooling], train.labels)
        return {'Recall@1': scores['Recall@1']}

    def _search_held_classes(self, training: Training) -> dict[str, Any]:
        kept, held = self._split_classes
        layer = train_projection(kept, training, seed=0)
        return {'Recall@1': search_scores(layer(held.vectors), held.labels)['Recall@1']}

    def _search_projected(self, training: Training, seed: int) -> dict[str, Any]:
        train, test = (self._search_set('vit', part) for part in ('train', 'test'))
        data = LabelledVectors(train.vectors[self.best_pooling], train.labels)
        layer = train_projection(data, training, seed)
        scores = search_scores(layer(test.vectors[self.best_pooling]), test.labels)
        scores.pop('by_class')  # seeds are compared, not classes
        return scores

    @cached_property
    def best_pooling(self) -> str:
        """Return the pooling of the ViT with the best record of the part ``pooling``."""
        records = read_record_file(self.file)
        return max(
            self.plan.poolings,
            key=lambda name: records[f'pooling/{SEARCHED.format(name)}']['metrics']['Recall@1'],
        )

    def best_rate(self, margin: float, koleo: float) -> float:
        """Return the learning rate with the best record; of equals the lowest.

        Args:
            margin: The value of β.
            koleo: The value of λ.
        """
        records = read_record_file(self.file)
        return max(
            sorted(self.plan.rates),
            key=lambda rate: records[f'rates/{margin}/{koleo}/{rate}']['metrics']['Recall@1'],
        )

    @cached_property
    def _split_classes(self) -> tuple[LabelledVectors, LabelledVectors]:
        train = self._search_set('vit', 'train')
        vectors = train.vectors[self.best_pooling]
        folders = [Path(name).parts[0] for name in train.names]
        _, held = hold_out_classes(sorted(set(folders)), self.plan.held_classes)
        out = torch.tensor([folder in set(held) for folder in folders])
        return tuple(LabelledVectors(vectors[x], train.labels[x]) for x in (~out, out))

    def _searched(self) -> list[tuple[str, str]]:
        return [*(('vit', pooling) for pooling in self.plan.poolings), ('cnn', 'avg')]

    def _search_set(self, encoder: str, part: str) -> Features:
        return self.features(encoder, part, self.plan.search_size)

    # classification of photos

    def photos(self) -> Iterator[Step]:
        """Yield linear layer and nearest mean on features, trees on colours, the majority."""
        sizes = self.plan.photo_sizes
        for encoder, size in [*(('vit', size) for size in sizes), ('cnn', sizes[0])]:
            penalties = {'linear': self.plan.penalties, 'nearest-mean': [None]}
            for classifier, some in penalties.items():
                yield self._photo_step(encoder, size, classifier, some)
        yield self._photo_step('colours', sizes[0], 'trees', [None])
        yield self._photo_step('colours', sizes[0], 'majority', [None])

    def _photo_step(
        self, encoder: str, size: int, classifier: str, penalties: list[float | None]
    ) -> Step:
        levels = {'features': encoder, 'size': str(size), 'classifier': classifier}
        settings = {'test_share': self.plan.test_share, 'penalties': penalties}
        settings |= {'trees': self.plan.trees} if classifier == 'trees' else {}
        measure = partial(self._name_photos, encoder, size, classifier, penalties)
        return Step('/'.join(('photos', *levels.values())), levels, 0, settings, measure)

    def _name_photos(
        self, encoder: str, size: int, classifier: str, penalties: list[float | None]
    ) -> dict[str, Any]:
        found = self.features(encoder, 'photos', size)
        fit = self._classifier(classifier, int(found.labels.max()) + 1)
        kept, held = stratified_split(found.names, found.labels.tolist(), self.plan.test_share)
        train = {name: vectors[kept] for name, vectors in found.vectors.items()}
        labels, names = found.labels[kept], [found.names[i] for i in kept]
        candidates = list(product(found.vectors, penalties))
        pooling, penalty = candidates[0]
        if len(candidates) > 1:
            pooling, penalty = choose(candidates, fit, train, labels, names)
        predict = fit(train[pooling], labels, penalty)
        hits = predict(found.vectors[pooling][held]) == found.labels[held]
        return {
            'accuracy': 100 * hits.double().mean().item(),
            'hits': ''.join(map(str, hits.int().tolist())),
            'trained_on': len(kept),
            'pooling': pooling,
            'penalty': penalty,
            'photos_per_second': found.photos_per_second,
        }

    def _classifier(self, name: str, classes: int) -> Callable:
        if name == 'linear':
            return lambda x, y, penalty: fit_linear(x, y, classes, penalty)
        if name == 'nearest-mean':
            return lambda x, y, _: fit_nearest_mean(x, y, classes)
        if name == 'trees':
            return lambda x, y, _: fit_trees(x, y, self.plan.trees, seed=0)
        return lambda x, y, _: lambda queries: y.mode().values.expand(len(queries))


PARTS = ('off_the_shelf', 'pooling', 'rates', 'projection', 'photos')


def colour_vectors(images: Tensor) -> Mapping[str, Tensor]:
    """Return the colour histogram of images, in the form of an encoder.

    Args:
        images: uint8, shape (B, 3, H, W).
    """
    return {'histogram': colour_histogram(images)}

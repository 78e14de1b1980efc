"""Write the tables of the study of frozen features from its records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

from ...evaluation.functional.statistics import (
    PairedDifference,
    paired_difference,
    summarize,
    wilson_interval,
)
from ..report import markdown_table, with_deviation
from .plan import ALL, SEARCHED, WHITENED, Plan, reductions

Records = Mapping[str, Mapping[str, Any]]


def off_the_shelf_table(plan: Plan, records: Records) -> list[str]:
    """Return a table of IRT_O by pooling and dimensions; intervals and pairs are over classes.

    Args:
        plan: The plan.
        records: Name of each finished cell to its record.
    """
    features = [*(SEARCHED.format(pooling) for pooling in plan.poolings), 'cnn-avg']
    first = records[f'off_the_shelf/{features[0]}/{ALL}']['metrics']['by_class']
    body = []
    for name, dims in product(features, reductions(plan)):
        found = records[f'off_the_shelf/{name}/{dims}']['metrics']
        whole = records[f'off_the_shelf/{name}/{ALL}']['metrics']['by_class']
        body.append(
            [
                name,
                dims,
                _mean_with_interval(found['by_class']),
                '' if dims == ALL else _difference(found['by_class'], whole),
                '' if found['by_class'] == first else _difference(found['by_class'], first),
                f'{found["effective_rank"]:.1f}',
            ]
        )
    head = ('features', 'dims', 'Recall@1', 'against all dims', f'against {features[0]}, all')
    return markdown_table([*head, 'effective rank'], body)


def rates_table(plan: Plan, records: Records) -> list[str]:
    """Return a table of Recall@1 on held-out training classes by margin, KoLeo and learning rate.

    Args:
        plan: The plan.
        records: Name of each finished cell to its record.
    """
    body = []
    for margin, koleo in product(plan.margins, plan.koleo):
        cells = [f'rates/{margin}/{koleo}/{rate}' for rate in plan.rates]
        found = [records[cell]['metrics']['Recall@1'] for cell in cells]
        best = max(range(len(found)), key=found.__getitem__)
        shown = [f'**{x:.2f}**' if i == best else f'{x:.2f}' for i, x in enumerate(found)]
        body.append([f'{margin:g}', f'{koleo:g}', *shown])
    return markdown_table(['margin', 'KoLeo', *(f'{rate:g}' for rate in plan.rates)], body)


def projection_table(plan: Plan, records: Records) -> list[str]:
    """Return a table of Recall@1 of O, L and R by width and margin.

    Args:
        plan: The plan.
        records: Name of each finished cell to its record.
    """
    return _projections(plan, records, 'Recall@1')


def spread_table(plan: Plan, records: Records) -> list[str]:
    """Return a table of the effective rank of O, L and R by width and margin.

    Args:
        plan: The plan.
        records: Name of each finished cell to its record.
    """
    return _projections(plan, records, 'effective_rank')


def gains_table(plan: Plan, records: Records) -> list[str]:
    """Return a table of differences in Recall@1 between L and O, R and L, paired by seed.

    Args:
        plan: The plan.
        records: Name of each finished cell to its record.
    """
    trained = [koleo for koleo in plan.koleo if koleo]
    body = []
    for dims, margin in product(plan.dims, plan.margins):
        alone = _seeds(plan, records, dims, margin, 0, 'Recall@1')
        row = [str(dims), f'{margin:g}', str(len(alone))]
        for part in (dims, WHITENED.format(dims)):
            start = dict.fromkeys(alone, _start(records, part, 'Recall@1'))
            row.append(_signed(paired_difference(alone, start)))
        for koleo in trained:
            with_koleo = _seeds(plan, records, dims, margin, koleo, 'Recall@1')
            row.append(_signed(paired_difference(with_koleo, alone)))
        body.append(row)
    differences = ['L - O', 'L - O whitened', *(f'R {koleo:g} - L' for koleo in trained)]
    return markdown_table(['dims', 'margin', 'n', *differences], body)


def photos_table(plan: Plan, records: Records) -> list[str]:
    """Return a table of accuracies on photos; pairs are over photos, against trees on colours.

    Args:
        plan: The plan.
        records: Name of each finished cell to its record.
    """
    large = plan.photo_sizes[0]
    trees = [int(hit) for hit in records[f'photos/colours/{large}/trees']['metrics']['hits']]
    rows = [(e, s) for e, s in [*(('vit', s) for s in plan.photo_sizes), ('cnn', large)]]
    names = [f'{e}/{s}/{c}' for e, s in rows for c in ('linear', 'nearest-mean')]
    names += [f'colours/{large}/trees', f'colours/{large}/majority']
    body = []
    for name in names:
        found = records[f'photos/{name}']['metrics']
        hits = [int(hit) for hit in found['hits']]
        low, high = (100 * end for end in wilson_interval(sum(hits), len(hits)))
        encoder, size, classifier = name.split('/')
        penalty = '' if found['penalty'] is None else f', {found["penalty"]:g}'
        counts = classifier == 'majority'  # uses no photo
        body.append(
            [
                encoder,
                '' if counts else size,
                classifier.replace('-', ' '),
                '' if encoder == 'colours' else found['pooling'] + penalty,
                f'{sum(hits)} of {len(hits)}',
                f'{found["accuracy"]:.1f} ({low:.1f} to {high:.1f})',
                '' if hits == trees else _difference(hits, trees, 100),
                '' if counts else f'{found["photos_per_second"]:.1f}',
            ]
        )
    head = ['features', 'px', 'classifier', 'chosen', 'right', 'accuracy']
    return markdown_table([*head, 'against trees', 'photos/s'], body)


TABLES = {
    'off_the_shelf': off_the_shelf_table,
    'rates': rates_table,
    'projection': projection_table,
    'gains': gains_table,
    'spread': spread_table,
    'photos': photos_table,
}


def _projections(plan: Plan, records: Records, metric: str) -> list[str]:
    body = []
    for dims, margin in product(plan.dims, plan.margins):
        starts = (_start(records, part, metric) for part in (dims, WHITENED.format(dims)))
        row = [str(dims), f'{margin:g}', *(f'{start:.2f}' for start in starts)]
        for koleo in plan.koleo:
            values = _seeds(plan, records, dims, margin, koleo, metric).values()
            found = summarize(list(values))
            row.append(with_deviation(found.mean, found.std))
        body.append(row)
    names = [f'R, KoLeo {koleo:g}' if koleo else 'L' for koleo in plan.koleo]
    return markdown_table(['dims', 'margin', 'O, PCA', 'O, whitened', *names], body)


def _start(records: Records, dims: int | str, metric: str) -> float:
    """Return the score of principal components of the pooling that is projected."""
    pooling = next(r['settings']['pooling'] for r in records.values() if 'dims' in r['settings'])
    return records[f'off_the_shelf/{SEARCHED.format(pooling)}/{dims}']['metrics'][metric]


def _seeds(
    plan: Plan, records: Records, dims: int, margin: float, koleo: float, metric: str
) -> dict[int, float]:
    """Return the score of each measured seed; there must be at least one."""
    cell = f'projection/{dims}/{margin}/{koleo}/seed'
    found = [seed for seed in plan.seeds if f'{cell}{seed}' in records] or plan.seeds[:1]
    return {seed: records[f'{cell}{seed}']['metrics'][metric] for seed in found}


def _difference(values: Sequence[float], baseline: Sequence[float], factor: float = 1.0) -> str:
    sides = [{i: factor * x for i, x in enumerate(side)} for side in (values, baseline)]
    return _signed(paired_difference(*sides))


def _signed(found: PairedDifference) -> str:
    return f'{found.mean:+.2f} ({found.low:+.2f} to {found.high:+.2f})'


def _mean_with_interval(values: Sequence[float]) -> str:
    found = paired_difference(dict(enumerate(values)), dict.fromkeys(range(len(values)), 0.0))
    return f'{found.mean:.2f} ({found.low:.2f} to {found.high:.2f})'

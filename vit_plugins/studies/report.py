"""Write the tables and pictures of the finished cells."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..evaluation.functional.statistics import paired_difference, summarize
from .grid import Study
from .model_cost import ModelCost
from .pictures import Group, plot_pictures

Records = Mapping[str, Mapping[str, Any]]
Costs = Mapping[Group, ModelCost]
# numbers of the model: title and format
SIZES = {'parameters': ('parameters', ',d'), 'gmacs': ('GMACs', '.3g')}
# numbers of the record: title and format
COSTS = {
    'seconds_per_step': ('s/step', '.3f'),
    'peak_rss_mb': ('peak RSS, MB', '.0f'),
    'cuda_memory_mb': ('CUDA memory, MB', '.0f'),
    'wall_seconds': ('training, s', '.0f'),
    'cpu_seconds': ('CPU, s', '.0f'),
}


def group_records(study: Study, records: Records) -> dict[Group, dict[int, Mapping[str, Any]]]:
    """Group the records by setting and seed, in the order of the study's levels.

    Args:
        study: The study.
        records: Name of each finished cell to its record.

    Returns:
        Levels, in the order of the axes, to seed to record.
    """
    groups: dict[Group, dict[int, Mapping[str, Any]]] = {}
    for record in records.values():
        key = tuple(record['levels'][axis] for axis in study.axes)
        groups.setdefault(key, {})[record['seed']] = record
    order = [list(levels) for levels in study.axes.values()]
    places = {key: [o.index(level) for o, level in zip(order, key, strict=True)] for key in groups}
    return {key: dict(sorted(groups[key].items())) for key in sorted(groups, key=places.get)}


def summary_rows(
    study: Study, records: Records, costs: Costs | None = None
) -> list[dict[str, Any]]:
    """Summarize each setting over its seeds.

    Args:
        study: The study.
        records: Name of each finished cell to its record.
        costs: Levels of each setting to what its model costs.

    Returns:
        A row per setting: its levels, ``n``, mean and deviation of each metric, ``parameters``
        and ``gmacs`` (None if unknown) if costs are given, mean costs of the training.
    """
    rows = []
    for key, seeds in group_records(study, records).items():
        row: dict[str, Any] = {**dict(zip(study.axes, key, strict=True)), 'n': len(seeds)}
        for metric in study.metrics:
            found = summarize([record['metrics'][metric] for record in seeds.values()])
            row[f'{metric} mean'], row[f'{metric} std'] = found.mean, found.std
        if costs:
            row.update({size: getattr(costs[key], size) for size in SIZES})
        for cost in COSTS:
            values = [record[cost] for record in seeds.values() if record.get(cost) is not None]
            if values:
                row[cost] = summarize(values).mean
        rows.append(row)
    return rows


def difference_rows(study: Study, records: Records) -> list[dict[str, Any]]:
    """Compare levels with the baselines that the study names, seed by seed.

    Args:
        study: The study.
        records: Name of each finished cell to its record.

    Returns:
        A row for each comparison and metric: the levels of the other axes, ``difference``
        ('a - b'), ``metric``, ``n``, ``mean``, ``std``, ``low``, ``high``.
    """
    groups = group_records(study, records)
    axes = list(study.axes)
    rows = []
    for part in study.compare:
        place = axes.index(part['axis'])
        for key, seeds in groups.items():
            level, baseline = key[place], part['baseline']
            other = groups.get((*key[:place], baseline, *key[place + 1 :]))
            wanted = part['levels'] or study.axes[part['axis']]
            if level == baseline or level not in wanted or not other or not seeds.keys() & other:
                continue
            rest = {axis: key[i] for i, axis in enumerate(axes) if i != place}
            for metric in study.metrics:
                sides = [
                    {seed: record['metrics'][metric] for seed, record in side.items()}
                    for side in (seeds, other)
                ]
                found = paired_difference(*sides)
                what = {'difference': f'{level} - {baseline}', 'metric': metric}
                rows.append({**rest, **what, **vars(found)})
    return rows


def write_report(
    study: Study,
    records: Records,
    folder: Path,
    missing: Mapping[str, str],
    command: str,
    costs: Costs | None = None,
    of_other_config: Sequence[str] = (),
) -> Path:
    """Write ``report.md``, ``cells.csv``, ``summary.csv``, ``differences.csv`` and the pictures.

    Args:
        study: The study.
        records: Name of each finished cell to its record; at least one.
        folder: The folder for these files.
        missing: Name to state of the cells that are not in the report.
        command: The command that made the report.
        costs: Levels of each setting to what its model costs; see :func:`setting_costs`.
        of_other_config: The names of the records that come from another config than the study's.

    Returns:
        The report.
    """
    summary = summary_rows(study, records, costs)
    differences = difference_rows(study, records)
    _write_csv(_cell_rows(study, records), folder / 'cells.csv')
    _write_csv(summary, folder / 'summary.csv')
    _write_csv(differences, folder / 'differences.csv')
    pictures = plot_pictures(study, group_records(study, records), costs or {}, folder)
    about = [study.about.strip(), ''] if study.about else []
    lines = [f'# {study.name}', '', *about, f'`{command}`', '']
    lines += ['Mean ± standard deviation (n - 1) over seeds.', '', *_summary_table(study, summary)]
    if differences:
        lines += ['', *_difference_table(study, differences)]
    lines += ['', *_notes(records, missing, costs or {}, of_other_config)]
    lines += [f'\n![{path.stem}]({path.name})' for path in pictures]
    report = folder / 'report.md'
    report.write_text('\n'.join(lines) + '\n', encoding='utf-8')
    return report


def _cell_rows(study: Study, records: Records) -> list[dict[str, Any]]:
    more = ('steps', 'resumed', 'commit', 'fingerprint', 'data_root')
    return [
        {
            **record['levels'],
            'seed': record['seed'],
            **record['metrics'],
            **{key: record.get(key) for key in (*COSTS, *more)},
        }
        for record in records.values()
    ]


def _summary_table(study: Study, rows: list[dict[str, Any]]) -> list[str]:
    costs = [cost for cost in COSTS if any(cost in row for row in rows)]
    sizes = [size for size in SIZES if any(size in row for row in rows)]
    titles = [*(SIZES[size][0] for size in sizes), *(COSTS[cost][0] for cost in costs)]
    head = [*study.axes, 'n', *study.metrics, *titles]
    body = [
        [
            *(row[axis] for axis in study.axes),
            str(row['n']),
            *(with_deviation(row[f'{m} mean'], row[f'{m} std']) for m in study.metrics),
            *('-' if row[s] is None else format(row[s], SIZES[s][1]) for s in sizes),
            *(format(row[cost], COSTS[cost][1]) if cost in row else '' for cost in costs),
        ]
        for row in rows
    ]
    return markdown_table(head, body)


def _difference_table(study: Study, rows: list[dict[str, Any]]) -> list[str]:
    axes = [axis for axis in study.axes if any(axis in row for row in rows)]
    several = len(study.metrics) > 1
    head = [*axes, 'difference', *(['metric'] if several else []), 'n', 'mean', '95 % interval']
    body = [
        [
            *(row.get(axis, '') for axis in axes),
            row['difference'],
            *([row['metric']] if several else []),
            str(row['n']),
            with_deviation(row['mean'], row['std'], sign='+'),
            '-' if math.isnan(row['low']) else f'{row["low"]:+.2f} to {row["high"]:+.2f}',
        ]
        for row in rows
    ]
    note = (
        'Paired by seed; Student interval of the mean difference, each on its own (no correction'
    )
    return [f'{note} for the {len(rows)} comparisons).', '', *markdown_table(head, body)]


def _notes(
    records: Records, missing: Mapping[str, str], costs: Costs, of_other_config: Sequence[str]
) -> list[str]:
    notes = []
    if costs:
        notes.append(
            'Parameters: all, also those that only the loss needs. GMACs: 10^9 multiplications '
            'to predict one image.'
        )
    problems: dict[str, list[str]] = {}
    for key, cost in costs.items():
        if cost.problem:
            problems.setdefault(cost.problem, []).append(', '.join(key))
    notes += [f'Not counted for {"; ".join(keys)}: {why}.' for why, keys in problems.items()]
    if missing:
        told = ', '.join(f'{name} ({state})' for name, state in missing.items())
        notes.append(f'Not in the tables, {len(missing)} cells: {told}.')
    commits = sorted({str(record['commit']) for record in records.values()})
    notes.append(f'Code: {", ".join(commits)} (+: with uncommitted changes).')
    roots = sorted({str(record['data_root']) for record in records.values()})
    if len(roots) > 1:
        notes.append(f'**Cells were trained on different images: {", ".join(roots)}.**')
    if of_other_config:
        notes.append(
            '**Cells are of another config than the study has now, as their records kept them: '
            f'{", ".join(of_other_config)}.**'
        )
    resumed = [name for name, record in records.items() if record['resumed']]
    if resumed:
        notes.append(f'Resumed, so that their time is of the last attempt: {", ".join(resumed)}.')
    return [' '.join(notes)]


def markdown_table(head: Sequence[str], body: Sequence[Sequence[str]]) -> list[str]:
    r"""Return a table as lines of markdown.

    Args:
        head: The titles.
        body: The rows.

    >>> print('\n'.join(markdown_table(['crop', 'n'], [['SRC', '3']])))
    | crop | n |
    |---|---|
    | SRC | 3 |
    """
    return [
        f'| {" | ".join(head)} |',
        f'|{"---|" * len(head)}',
        *(f'| {" | ".join(row)} |' for row in body),
    ]


def with_deviation(mean: float, std: float, sign: str = '') -> str:
    """Return a mean and, if it is known, its deviation: '12.30 ± 0.45'.

    Args:
        mean: The mean.
        std: The deviation; NaN for a single value.
        sign: '+' also shows the sign of positive means.
    """
    return f'{mean:{sign}.2f}' + ('' if math.isnan(std) else f' ± {std:.2f}')


def _write_csv(rows: list[dict[str, Any]], path: Path) -> None:
    names = list(dict.fromkeys(name for row in rows for name in row))
    with path.open('w', newline='', encoding='utf-8') as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(rows)

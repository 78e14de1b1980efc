"""Plot the pictures of a study."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..visualization.curves import (
    plot_against,
    plot_against_cost,
    plot_mean_curves,
)
from .grid import Study
from .model_cost import ModelCost
from .study_file import level_value

Group = tuple[str, ...]
Groups = Mapping[Group, Mapping[int, Mapping[str, Any]]]


def plot_pictures(
    study: Study, groups: Groups, costs: Mapping[Group, ModelCost], folder: Path
) -> list[Path]:
    """Plot the results of a study, metric by metric.

    Args:
        study: The study.
        groups: Levels of each setting to seed to record.
        costs: Levels of each setting to its cost.
        folder: The folder for the pictures.

    Returns:
        The pictures.
    """
    figures = {}
    gmacs = {key: costs[key].gmacs for key in groups if key in costs and costs[key].gmacs}
    for metric in study.metrics:
        stem = metric.replace('/', '_').replace(':', '_')
        curves = {
            ', '.join(key): [joined_curve(record, metric) for record in seeds.values()]
            for key, seeds in groups.items()
        }
        curves = {name: found for name, found in curves.items() if all(found)}
        if curves:
            figures[f'curves_{stem}'] = plot_mean_curves(curves, metric, counted(groups))
        if study.plot:
            series = level_series(study, groups, metric)
            label = study.plot.get('label') or study.plot['x']
            figures[f'{stem}_against_{study.plot["x"]}'] = plot_against(series, label, metric)
        if len(set(gmacs.values())) > 1:
            figures[f'{stem}_against_gmacs'] = plot_against_cost(
                cost_series(groups, gmacs, metric), metric
            )
    for stem, figure in figures.items():
        figure.savefig(folder / f'{stem}.png', dpi=120)
    return [folder / f'{stem}.png' for stem in figures]


def counted(groups: Groups) -> str:
    """Return the unit in which the first cell counts its validations: 'epoch' or 'step'.

    Args:
        groups: Levels of each setting to seed to record.
    """
    stage = next(iter(next(iter(groups.values())).values()))['stages'][0]
    losses = stage['curves'].get('loss') or [(0, 0)]
    return 'step' if losses[-1][0] == stage['steps'] else 'epoch'


def joined_curve(record: Mapping[str, Any], metric: str) -> list[tuple[float, float]]:
    """Join the validation curves of the stages of a cell.

    Args:
        record: The record of a cell.
        metric: The metric of the curve.
    """
    points, before = [], 0
    for stage in record['stages']:
        points += [(before + step, value) for step, value in stage['curves'].get(metric, ())]
        before += stage['epochs']
    return points


def level_series(study: Study, groups: Groups, metric: str) -> dict[str, dict[float, list[float]]]:
    """Group a metric into lines over the levels of the study's plot axis.

    Args:
        study: The study.
        groups: Levels of each setting to seed to record.
        metric: The metric.

    Returns:
        The levels of the other axes to the number of a level to the values of its seeds.
    """
    axis = study.plot['x']
    place = list(study.axes).index(axis)
    series: dict[str, dict[float, list[float]]] = {}
    for key, seeds in groups.items():
        x = level_value(key[place], study.axes[axis][key[place]])
        name = ', '.join((*key[:place], *key[place + 1 :]))
        series.setdefault(name, {})[x] = _values(seeds, metric)
    return series


def cost_series(
    groups: Groups, gmacs: Mapping[Group, float], metric: str
) -> dict[str, dict[str, tuple[float, list[float]]]]:
    """Group a metric into lines along which only the cost grows.

    Args:
        groups: Levels of each setting to seed to record.
        gmacs: Levels of each setting to its cost; settings without a cost are left out.
        metric: The metric.

    Returns:
        The levels without effect on the cost to the levels with effect, to the cost and the
        values of the seeds.
    """
    keys = [key for key in groups if key in gmacs]
    places = range(len(keys[0]))
    costly = [place for place in places if _differs_along(place, keys, gmacs)]
    costly = costly or places  # no two settings differ in one axis alone
    series: dict[str, dict[str, tuple[float, list[float]]]] = {}
    for key in keys:
        line = ', '.join(key[place] for place in places if place not in costly)
        point = ', '.join(key[place] for place in costly)
        series.setdefault(line, {})[point] = gmacs[key], _values(groups[key], metric)
    return series


def _differs_along(place: int, keys: list[Group], gmacs: Mapping[Group, float]) -> bool:
    """Return whether two settings that differ only in this axis have different costs."""
    seen: dict[Group, set[float]] = {}
    for key in keys:
        seen.setdefault((*key[:place], *key[place + 1 :]), set()).add(gmacs[key])
    return any(len(costs) > 1 for costs in seen.values())


def _values(seeds: Mapping[int, Mapping[str, Any]], metric: str) -> list[float]:
    return [record['metrics'][metric] for record in seeds.values()]

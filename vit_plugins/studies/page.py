"""Fill the tables of studies in a page of text, from the records in the repository."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .claims import claims_table
from .frozen.plan import read_plan
from .frozen.tables import TABLES
from .grid import Study, read_study
from .record_file import read_record_file
from .record_picture import is_plotted, plot_records
from .report import difference_rows, markdown_table, summary_rows, with_deviation

MARK = re.compile(
    r'(<!-- (?P<kind>settings|grid|claims|plot|table (?P<table>\w+)) of (?P<study>\S+\.ya?ml)'
    r'(?: by (?P<axis>[\w-]+))? -->\n)'
    r'.*?(?P<end><!-- end -->)',
    re.DOTALL,
)
KEPT = Path('docs', 'evidence')


def record_path(root: Path, study: Study) -> Path:
    """Return the path of a study's records in the repository.

    Args:
        root: The repository.
        study: The study.
    """
    return root / KEPT / f'{study.name}.json'


def frozen_table(root: Path, file: Path, name: str) -> list[str]:
    """Return a table of the study of frozen features.

    Args:
        root: The repository.
        file: The file of the study; its records have the same stem.
        name: One of `TABLES`.

    Raises:
        ValueError: If there is no such table, or a record that it needs is missing.
    """
    if name not in TABLES:
        raise ValueError(f'{file}: the table must be one of {", ".join(TABLES)}, got {name}.')
    kept = root / KEPT / f'{file.stem}.json'
    try:
        return TABLES[name](read_plan(file), read_record_file(kept))
    except KeyError as error:
        raise ValueError(f'{kept} lacks the record {error}: run {file} to its end.') from None


def fill_page(text: str, root: Path) -> str:
    """Return a page with the tables of the studies in its marked places.

    A place begins with one of these marks and goes up to ``<!-- end -->``:
    ``<!-- settings of configs/STUDY.yaml -->`` (a row for each setting),
    ``<!-- grid of configs/STUDY.yaml by AXIS -->`` (a column for each level of the axis, and for
    each comparison along it), ``<!-- table NAME of configs/STUDY.yaml -->`` (a table of the study
    of frozen features, with a name of `TABLES`), ``<!-- claims of docs/FILE.yml -->`` (the table
    of :func:`claims_table`), ``<!-- plot of configs/STUDY.yaml -->`` (the picture of
    :func:`plot_records`, which :func:`write_plots` writes).

    Args:
        text: The page, which is in the folder docs.
        root: The repository, which contains studies and records.

    Raises:
        ValueError: If a study has no records, or no such axis.
    """

    def filled(match: re.Match) -> str:
        lines = table_lines(match)
        table = '\n'.join(lines)
        return f'{match[1]}{table}\n\n{match["end"]}'

    def table_lines(match: re.Match) -> list[str]:
        if match['kind'] == 'claims':
            return claims_table(root / match['study'])
        if match['table']:
            return frozen_table(root, root / match['study'], match['table'])
        study = read_study(root / match['study'])
        records = read_record_file(record_path(root, study))
        if not records:
            raise ValueError(f'{match["study"]}: no records in {record_path(root, study)}')
        if match['kind'] == 'plot':
            return [f'![{study.plot["label"]}]({KEPT.name}/{study.name}.png)']
        if match['kind'] == 'settings':
            return settings_table(study, records)
        return grid_table(study, records, match['axis'])

    return MARK.sub(filled, text)


def write_plots(text: str, root: Path, only_check: bool = False) -> list[Path]:
    """Plot the pictures of a page whose records have changed since they were made.

    Args:
        text: The page.
        root: The repository.
        only_check: Whether to write nothing.

    Returns:
        The pictures that were out of date.
    """
    stale = []
    for match in MARK.finditer(text):
        if match['kind'] != 'plot':
            continue
        study = read_study(root / match['study'])
        records = read_record_file(record_path(root, study))
        path = record_path(root, study).with_suffix('.png')
        if not is_plotted(study, records, path):
            stale.append(path)
            if not only_check:
                plot_records(study, records, path)
    return stale


def settings_table(study: Study, records: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return a table with a row for each setting: seeds, metrics, differences.

    Args:
        study: The study.
        records: Name of each finished cell to its record.
    """
    differences = _differences(study, records)
    titles = list(dict.fromkeys(name for found in differences.values() for name in found))
    body = []
    for row in summary_rows(study, records):
        key = tuple(row[axis] for axis in study.axes)
        shown = [with_deviation(row[f'{m} mean'], row[f'{m} std']) for m in study.metrics]
        found = [differences.get(key, {}).get(title, '') for title in titles]
        body.append([*key, str(row['n']), *shown, *found])
    return markdown_table([*study.axes, 'n', *study.metrics, *titles], body)


def grid_table(
    study: Study, records: Mapping[str, Mapping[str, Any]], axis: str | None
) -> list[str]:
    """Return a table with a column for each level of an axis, followed by its comparisons.

    Args:
        study: The study, which must have one metric.
        records: Name of each finished cell to its record.
        axis: The axis.

    Raises:
        ValueError: If the study has no such axis, or several metrics.
    """
    if axis not in study.axes or len(study.metrics) != 1:
        raise ValueError(
            f'{study.name}: a grid needs one metric and "by AXIS" with one of '
            f'{", ".join(study.axes)}; got axis {axis} and {len(study.metrics)} metrics'
        )
    (metric,) = study.metrics
    place = list(study.axes).index(axis)
    rows: dict[tuple[str, ...], dict[str, str]] = {}
    for row in summary_rows(study, records):
        rest = tuple(row[name] for name in study.axes if name != axis)
        value = with_deviation(row[f'{metric} mean'], row[f'{metric} std'])
        rows.setdefault(rest, {})[row[axis]] = f'{value} ({row["n"]})'
    compared: list[str] = []
    for key, found in _differences(study, records).items():
        rest = (*key[:place], *key[place + 1 :])
        for title, value in found.items():
            name = f'{key[place]} - {title.removeprefix("against ")}'
            rows[rest][name] = value
            compared += [name] if name not in compared else []
    levels = [level for level in study.axes[axis] if any(level in row for row in rows.values())]
    columns = [*levels, *compared]
    body = [[*rest, *(row.get(name, '') for name in columns)] for rest, row in rows.items()]
    others = [name for name in study.axes if name != axis]
    return markdown_table([*others, *(f'{name} (n)' for name in levels), *compared], body)


def _differences(
    study: Study, records: Mapping[str, Mapping[str, Any]]
) -> dict[tuple[str, ...], dict[str, str]]:
    """Return the differences as text: setting to baseline to mean and interval."""
    found: dict[tuple[str, ...], dict[str, str]] = {}
    for row in difference_rows(study, records):
        # the name of a level is also that of a folder, so it has no blank
        level, baseline = row['difference'].split(' - ')
        key = tuple(row.get(axis, level) for axis in study.axes)
        several = f' ({row["metric"]})' if len(study.metrics) > 1 else ''
        span = '' if math.isnan(row['low']) else f' ({row["low"]:+.2f} to {row["high"]:+.2f})'
        value = f'{row["mean"]:+.2f}{span}'
        found.setdefault(key, {})[f'against {baseline}{several}'] = value
    return found

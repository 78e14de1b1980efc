"""Write pages of numbers from the JSON of ``vit-plugins bench --json``."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..studies.report import markdown_table

MARK = re.compile(
    r'(<!-- (?P<kind>bench|growth|targets) of (?P<file>\S+) -->\n).*?(?P<end><!-- end -->)',
    re.DOTALL,
)
UNITS = {'seconds': 's', 'cpu_seconds': 's', 'peak_mb': 'MiB', 'kept_mb': 'MiB'}
OPEN = 'not measured'


def fill_benchmarks(text: str, root: Path) -> str:
    """Return a page with the measurements in its marked places.

    A place goes up to ``<!-- end -->``. ``<!-- bench of FILE.json -->`` is the table of all cases
    with the command and the machine. ``<!-- growth of FILE.json -->`` is the table of ours only,
    each case relative to the first of its part. ``<!-- targets of FILE.yml -->`` is the table of
    :func:`targets_table`.

    Values that no file has yet are shown as not measured.

    Args:
        text: The page.
        root: The repository, which contains the files.
    """

    def filled(match: re.Match) -> str:
        file = root / match['file']
        table = {'bench': _bench_lines, 'growth': _growth_lines, 'targets': targets_table}
        lines = table[match['kind']](file)
        return f'{match[1]}' + '\n'.join(lines) + f'\n\n{match["end"]}'

    return MARK.sub(filled, text)


def targets_table(file: Path) -> list[str]:
    """Return a row for each target: the goal, the measurement, and whether the goal is met.

    Args:
        file: YAML, a list of targets: ``what``, ``file`` of the JSON in the same folder, ``case``,
            ``side``, ``value`` (a key of a side, or its ratio to ours, such as ``kept_ratio``) and
            ``at_least`` or ``at_most``. Values that no file has are shown as not measured.
    """
    import yaml  # MMPretrain installs it

    body = []
    for target in yaml.safe_load(file.read_text(encoding='utf-8')):
        found = _measured(file.parent / target['file'], target)
        wanted, met = _judge(target, found)
        shown = OPEN if found is None else _figure(found, target['value'])
        body.append([target['what'], wanted, shown, met])
    return markdown_table(['target', 'wanted', 'measured', 'met'], body)


def _measured(file: Path, target: Mapping[str, Any]) -> float | None:
    if not file.is_file():
        return None
    for row in _read(file)['cases']:
        if row['case'] != target['case'] or target['side'] not in row.get('sides', {}):
            continue
        side, ours = row['sides'][target['side']], row['sides']['ours']
        kind = target['value']
        if kind in ('kept_ratio', 'peak_ratio'):
            key = kind.replace('ratio', 'mb')
            if side.get(key) is None or not ours.get(key):
                return None
            return side[key] / ours[key]
        return side.get(kind)
    return None


def _judge(target: Mapping[str, Any], found: float | None) -> tuple[str, str]:
    least = 'at_least' in target
    limit = target['at_least' if least else 'at_most']
    wanted = f'{"≥" if least else "≤"} {_figure(limit, target["value"])}'
    if found is None:
        return wanted, ''
    return wanted, 'yes' if (found >= limit if least else found <= limit) else '**no**'


def _figure(value: float, kind: str) -> str:
    return f'{value:.3g} {UNITS.get(kind, "x")}'


def _read(file: Path) -> dict[str, Any]:
    """Return the content of a file of ``vit-plugins bench``, or of a stage of the GPU suite."""
    content = json.loads(file.read_text(encoding='utf-8'))
    return content.get('results', content)


def _bench_lines(file: Path) -> list[str]:
    if not file.is_file():
        return [f'{OPEN.capitalize()} yet: there is no {file.name}.']
    report = _read(file)
    body = []
    for row in report['cases']:
        if 'error' in row:
            body.append([row['case'], 'failed', row['error'].strip().splitlines()[-1], *[''] * 5])
            continue
        for k, (name, side) in enumerate(row['sides'].items()):
            body.append(['' if k else row['case'], name, *_cells(side)])
    head = ['case', 'side', 'ms', 'ratio', 'CPU ms', 'CPU ratio', 'peak MiB', 'kept MiB']
    notes = [f'- {note}' for note in _notes(report['cases'])]
    return [*_origin(report), '', *markdown_table(head, body), *([''] if notes else []), *notes]


def _cells(side: Mapping[str, Any]) -> list[str]:
    memory = (
        '' if side.get(key) is None else f'{side[key]:.1f}' for key in ('peak_mb', 'kept_mb')
    )
    return [
        *(f'{1e3 * side["seconds"]:.4g}', f'{side["ratio"]:.2f}'),
        *(f'{1e3 * side["cpu_seconds"]:.4g}', f'{side["cpu_ratio"]:.2f}'),
        *memory,
    ]


def _notes(cases: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the notes on the sides and the missing peers, each once."""
    notes = []
    for row in cases:
        sides = row.get('sides', {}).items()
        notes += [f'{name}: {side["about"]}' for name, side in sides if side.get('about')]
        notes += [f'{name} is left out: {why}' for name, why in row.get('missing', {}).items()]
    return list(dict.fromkeys(notes))


def _origin(report: Mapping[str, Any]) -> list[str]:
    machine, setting = report['machine'], report['setting']
    versions = (f'{name} {number}' for name, number in machine['versions'].items() if number)
    where = machine.get('gpu') if setting['device'] != 'cpu' else machine['processor']
    rounds = f'median of {setting["rounds"]} rounds'
    calls = 'one call, outputs not compared' if setting.get('once') else rounds
    return [
        f'`{report["command"]}`: {where}, threads: {setting["threads"]} of {machine["cores"]} '
        f'cores, {setting["dtype"]}, {calls}; {", ".join(versions)}.'
    ]


def _growth_lines(file: Path) -> list[str]:
    if not file.is_file():
        return [f'{OPEN.capitalize()} yet: there is no {file.name}.']
    report = _read(file)
    head = ['case', 'ms', 'CPU ms', 'over the first', 'peak MiB', 'over the first']
    return [*_origin(report), '', *markdown_table(head, [*_growth(report['cases'])])]


def _growth(cases: Sequence[Mapping[str, Any]]) -> Iterator[list[str]]:
    first: dict[str, Mapping[str, Any]] = {}
    for row in cases:
        if 'error' in row:
            continue
        side = row['sides']['ours']
        one = first.setdefault(row['part'], side)
        peak, least = side.get('peak_mb'), one.get('peak_mb')
        yield [
            row['case'],
            f'{1e3 * side["seconds"]:.4g}',
            f'{1e3 * side["cpu_seconds"]:.4g}',
            f'{side["cpu_seconds"] / one["cpu_seconds"]:.2f}',
            '' if peak is None else f'{peak:.1f}',
            f'{peak / least:.2f}' if peak is not None and least else '',
        ]

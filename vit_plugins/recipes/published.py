"""What the papers report, by recipe and data, and the tables of it within a page of text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

from ..resources import resource_root

GRID = re.compile(r'(<!-- published grid of (?P<group>\w+) -->\n).*?(<!-- end -->)', re.DOTALL)
ROWS = re.compile(r'(<!-- published rows -->\n)(?P<rows>.*?)(<!-- end -->)', re.DOTALL)
LINK = re.compile(r'\]\((?P<recipe>[\w.-]+)\.py\)')
OPTION = re.compile(r'--(data|fraction) ([\w.-]+)')


@cache
def published(file: Path | None = None) -> dict[str, dict]:
    """Read the table of published results; numbers stay as they are written, as '54.10'.

    Args:
        file: ``configs/published.yml``, which says what its keys mean, if not another.
    """
    import yaml  # MMPretrain brings it

    from ..fileio.text_documents import read_yaml

    path = file or resource_root() / 'configs' / 'published.yml'
    return read_yaml(path, yaml.BaseLoader)


def pairs() -> Iterator[tuple[str, str, float | None, str]]:
    """Yield every published result: recipe, data, fraction of the images, number.

    The recipe is a path from the folder of all, the fraction None where all images are trained on.
    """
    for group, table in published().items():
        for recipe, results in table['results'].items():
            for key, number in results.items():
                data, _, fraction = key.partition('@')
                yield f'configs/{group}/{recipe}.py', data, float(fraction or 0) or None, number


def results_of(recipe: str | Path) -> Mapping[str, str]:
    """Return what is published of a recipe, by data; of none an empty mapping.

    Args:
        recipe: Its file; the last folder and the name count.
    """
    path = Path(recipe)
    return published().get(path.parent.name, {}).get('results', {}).get(path.stem, {})


def fill_published(text: str, folder: str) -> str:
    """Return a page whose marked places hold published numbers.

    ``<!-- published grid of GROUP -->`` up to ``<!-- end -->`` is a table with a row for each
    data and a column for each net. In ``<!-- published rows -->`` the last cell of each row that
    links to a recipe, and perhaps names ``--data`` or ``--fraction``, is filled; with a dash where
    nothing is published.

    Args:
        text: The page.
        folder: The folder of ``configs/`` that it stands in.
    """
    text = GRID.sub(lambda m: f'{m[1]}{_grid(m["group"])}\n\n{m[3]}', text)
    return ROWS.sub(lambda m: m[1] + _filled_rows(m['rows'], folder) + m[3], text)


def _grid(group: str) -> str:
    from ..studies.report import markdown_table  # torch, which `list` does without

    table = published()[group]
    results, columns = table['results'], table['grid']
    facts = table.get('data') or {}
    keys = list(facts)
    if not facts:  # the fractions of one dataset
        every = [key for recipes in columns.values() for r in recipes for key in results[r]]
        keys = sorted({key for key in every if '@' in key}, key=lambda k: float(k.split('@')[1]))
    body = []
    for key in keys:
        cells = [_cell([results[r].get(key) for r in recipes]) for recipes in columns.values()]
        body.append([*_row_head(key, facts.get(key)), *cells])
    head = ['`--data`', 'images', 'classes'] if facts else ['`--fraction`', 'epochs']
    return '\n'.join(markdown_table([*head, *columns], body))


def _row_head(key: str, facts: list[str] | None) -> list[str]:
    if facts:
        train, test, classes = map(int, facts)
        return [key, f'{train:,} + {test:,}', str(classes)]
    fraction = key.partition('@')[2]
    return [fraction, str(round(300 / float(fraction)))]


def _cell(numbers: list[str | None]) -> str:
    return ', '.join(numbers) if all(numbers) else '-'


def _filled_rows(rows: str, folder: str) -> str:
    return ''.join(_filled_row(line, folder) for line in rows.splitlines(keepends=True))


def _filled_row(line: str, folder: str) -> str:
    link = LINK.search(line)
    if not link:
        return line
    options = dict(OPTION.findall(line))
    results = results_of(Path(folder, link['recipe']))
    plain = [key for key in results if '@' not in key]
    key = options.get('data', plain[0] if plain else '')
    key += f'@{options["fraction"]}' if 'fraction' in options else ''
    cells = line.rstrip().removesuffix('|').rstrip().split('|')
    return '|'.join([*cells[:-1], f' {results.get(key, "-")} ']) + '|\n'

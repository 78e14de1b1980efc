"""Write a page about one or several trainings that needs no other file and no network."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined

from ..fileio.printable_text import printable
from ..resources import package_version
from .cell_photos import cell_photos
from .charts import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH
from .findings import Findings
from .run_charts import compared_charts
from .run_view import RunView, view_run
from .scores import Paired, compare_paired

MOST_BYTES = 4_600_000  # bytes of the page
SPARE_BYTES = 150_000  # reserve for everything that is not counted
ROW_BYTES = 28  # bytes of a photo's row in the data


@dataclass(frozen=True)
class Compared:
    """A training in a comparison.

    Attributes:
        view: The contents of the page about it.
        facts: Its facts by name.
        paired: Its model compared with that of the first training on the same images. None for the
            first training, and if the images differ.
    """

    view: RunView
    facts: dict[str, str]
    paired: Paired | None


def write_page(runs: Sequence[Findings], out: str | Path) -> Path:
    """Write the page of one or several trainings.

    Args:
        runs: The findings about each.
        out: The file.

    Returns:
        The file.
    """
    path = Path(out)
    part = path.with_name(f'{path.name}.part')
    part.write_text(render_page(runs), encoding='utf-8')
    part.replace(path)
    return path


def render_page(runs: Sequence[Findings]) -> str:
    """Return the text of the page.

    Args:
        runs: The findings about each training.
    """
    views = [view_run(found, name) for found, name in zip(runs, unique_names(runs), strict=True)]
    template = _environment().get_template('page.html')
    settings = {
        'title': views[0].name if len(views) == 1 else f'{len(views)} trainings',
        'runs': views,
        'compared': _compare(runs, views) if len(views) > 1 else [],
        'compared_charts': compared_charts(
            [(view.name, found.run.curves) for view, found in zip(views, runs, strict=True)]
        )
        if len(views) > 1
        else [],
        'written': datetime.now().strftime('%Y-%m-%d %H:%M'),
        'version': package_version(),
    }
    without_photos = template.render(**settings, data={})
    rows = sum(len(found.images) for found in runs if found.predictions is not None)
    budget = MOST_BYTES - SPARE_BYTES - len(without_photos.encode()) - ROW_BYTES * rows
    data = {
        **cell_photos(runs, max(budget, 0)),
        'classes': [view.classes for view in views],
    }
    return template.render(**settings, data=data)


def unique_names(runs: Sequence[Findings]) -> list[str]:
    """Return a name for each training: its folder's, with the parent folder where needed.

    Args:
        runs: The trainings.
    """
    folders = [found.run.folder.resolve() for found in runs]
    counts = Counter(folder.name for folder in folders)
    names = [
        folder.name if counts[folder.name] == 1 else '/'.join(folder.parts[-2:])
        for folder in folders
    ]
    return [printable(name) for name in names]


def _compare(runs: Sequence[Findings], views: Sequence[RunView]) -> list[Compared]:
    return [
        Compared(view, dict(view.facts), _paired(runs[0], found) if i else None)
        for i, (found, view) in enumerate(zip(runs, views, strict=True))
    ]


def _paired(first: Findings, second: Findings) -> Paired | None:
    if first.predictions is None or second.predictions is None:
        return None
    keys = [[image.key for image in found.images] for found in (first, second)]
    same = np.array_equal(first.predictions.labels, second.predictions.labels)
    if keys[0] != keys[1] or not same:
        return None
    return compare_paired(first.predictions.right, second.predictions.right)


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader('vit_plugins.report'),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters['percent'] = percent
    environment.globals['plot'] = {
        'width': WIDTH,
        'height': HEIGHT,
        'left': LEFT,
        'right': WIDTH - RIGHT,
        'top': TOP,
        'bottom': HEIGHT - BOTTOM,
    }
    return environment


def percent(value: float | None) -> str:
    """Return a share as text in percent, or a dash for None.

    Args:
        value: Between 0 and 1.

    >>> percent(0.9944)
    '99.4'
    """
    return '–' if value is None else f'{100 * value:.1f}'

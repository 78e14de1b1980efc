"""The table of ``configs/pretrained_models.yml`` within a page of text."""

from __future__ import annotations

import re

from ..resources import resource_root
from ..weights.pretrained_models import PretrainedModel, pretrained_models

PLACE = re.compile(r'(<!-- pretrained models -->\n).*?(<!-- end -->)', re.DOTALL)
DEFAULT = re.compile(r"^default_weights = '(.+)'", re.MULTILINE)
HEAD = (
    *('`--pretrained`', 'licence', 'MB', 'parameters', 'px', 'photos/s, one thread'),
    *('ImageNet-1k top-1', 'TrashNet', 'for'),
)


def fill_pretrained(text: str) -> str:
    """Return a page whose place ``<!-- pretrained models -->`` to ``<!-- end -->`` has the table.

    Args:
        text: The page.
    """
    if not PLACE.search(text):
        return text
    from ..studies.report import markdown_table  # torch

    table = '\n'.join(markdown_table(HEAD, map(_row, pretrained_models().values())))
    return PLACE.sub(lambda match: f'{match[1]}{table}\n\n{match[2]}', text)


def _row(model: PretrainedModel) -> list[str]:
    recipes = [
        f'**{recipe}** (default)' if _default_of(recipe) == model.name else recipe
        for recipe in model.recipes
    ]
    source = '' if model.source == 'index' else f' ([source]({model.source.split(",")[0]}))'
    return [
        f'FILE `--backbone {model.name}`' if model.address else model.name,
        model.licence,
        f'{model.megabytes:.0f}',
        f'{model.parameters / 1e6:.1f} M',
        str(model.size),
        f'{model.photos_per_second:.1f}',
        f'{model.top1:g} %{source}',
        '' if model.trashnet is None else f'{model.trashnet:.1f} %',
        ', '.join(recipes),
    ]


def _default_of(recipe: str) -> str:
    """Return the weights that a recipe starts from, out of its text."""
    text = (resource_root() / 'configs' / f'{recipe}.py').read_text(encoding='utf-8')
    return DEFAULT.search(text)[1]

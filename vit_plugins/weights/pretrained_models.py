"""The networks that people's own photos can start from: ``configs/pretrained_models.yml``."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import yaml

from ..resources import resource_root
from .safe_reading import cached_download

BYTES = 4  # of a parameter: published files hold 32-bit numbers
FAST = 17  # photos a second on one thread: two cores encode 2,000 in a minute
FILE = 'configs/pretrained_models.yml'


@dataclass(frozen=True)
class PretrainedModel:
    """A row of the table; the file says what each column means.

    Attributes:
        name: Of the model index, or ``timm/NAME``.
        licence: Of the weights.
        parameters: With the classifier of its classes.
        size: Of the images in pixels.
        photos_per_second: That one thread encodes.
        top1: Published accuracy on ImageNet-1k in percent.
        source: Where that stands.
        recipes: That it suits, as 'photos'.
        trashnet: Accuracy of ``photos-frozen`` on TrashNet in percent, where we had the weights.
        address: Where its file comes from, if the model index does not know.
    """

    name: str
    licence: str
    parameters: int
    size: int
    photos_per_second: float
    top1: float
    source: str
    recipes: tuple[str, ...] = ()
    trashnet: float | None = None
    address: str = ''

    @property
    def megabytes(self) -> float:
        """About the size of its file."""
        return megabytes(self.parameters)


def megabytes(parameters: int) -> float:
    """Return about how large a file of so many parameters is, in 10^6 bytes.

    Args:
        parameters: Their number.
    """
    return parameters * BYTES / 1e6


@cache
def pretrained_models() -> dict[str, PretrainedModel]:
    """Read the table: name to row, in its order."""
    path = resource_root() / FILE
    rows: dict[str, dict[str, Any]] = yaml.safe_load(path.read_text(encoding='utf-8'))
    return {
        name: PretrainedModel(name, **{**row, 'recipes': tuple(row['recipes'])})
        for name, row in rows.items()
    }


def default_for_frozen() -> str:
    """Return the most accurate model with which two cores encode 2,000 photos in a minute."""
    fast = [
        row
        for row in pretrained_models().values()
        if 'photos-frozen' in row.recipes and row.photos_per_second >= FAST
    ]
    return max(fast, key=lambda row: row.top1).name


def download_note(name: str) -> str | None:
    """Return what is about to be fetched, its size and licence and where it is kept.

    Args:
        name: A model of the index.

    Returns:
        None if there is no model of this name or no address, or its file was fetched before.
    """
    from mmpretrain import ModelHub, list_models

    if name not in list_models():
        return None
    found = ModelHub.get(name)
    if not found.weights or cached_download(found.weights).exists():
        return None
    row = pretrained_models().get(name)
    parameters = row.parameters if row else found.metadata.parameters
    size = f'about {megabytes(parameters):.0f} MB' if parameters else 'of unknown size'
    licence = f', {row.licence}' if row else ''
    return f'{name}, {size}{licence}: fetched once, kept as {cached_download(found.weights)}'

"""The networks from which training on a user's photos can start: ``pretrained_models.yml``."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import yaml

from ..resources import resource_root
from .download import cached_download

BYTES = 4  # size of a parameter: published files hold 32-bit numbers
FAST = 17  # photos per second on one thread: two cores encode 2,000 in a minute
FILE = 'configs/pretrained_models.yml'


@dataclass(frozen=True)
class PretrainedModel:
    """A row of the table; the file explains each column.

    Attributes:
        name: A name of the model index, or ``timm/NAME``.
        licence: The licence of the weights.
        parameters: Number of parameters, with the classifier of its classes.
        size: Size of the images in pixels.
        photos_per_second: Photos that one thread encodes in a second.
        top1: Published accuracy on ImageNet-1k in percent.
        source: Where this accuracy is published.
        recipes: The recipes that it suits, such as 'photos'.
        trashnet: Accuracy of ``photos-frozen`` on TrashNet in percent, if we had the weights.
        address: The address of its file, if the model index does not have it.
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
        """Return the approximate size of its file in 10^6 bytes."""
        return megabytes(self.parameters)


def megabytes(parameters: int) -> float:
    """Return the approximate size of a file with this many parameters, in 10^6 bytes.

    Args:
        parameters: Number of parameters.
    """
    return parameters * BYTES / 1e6


@cache
def pretrained_models() -> dict[str, PretrainedModel]:
    """Load the table: name to row, in the order of the file."""
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
    """Return a note on the file to be downloaded: its size, its licence and where it is kept.

    Args:
        name: A model of the index.

    Returns:
        None if there is no model of this name or no address, or its file was downloaded before.
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

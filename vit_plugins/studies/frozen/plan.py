"""The file of a study of frozen features: its settings, and the names of its levels."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...fileio.text_documents import read_yaml

ALL = 'all'  # all dimensions, instead of a number of components
WHITENED = '{}-whitened'  # components of variance 1
SEARCHED = 'vit-{}'  # an encoder and its pooling


@dataclass(frozen=True)
class Plan:
    """The file of the study.

    Attributes:
        about: A description.
        search_size: Side of the photos of the search, as the encoders see them.
        photo_sizes: Sides of the photos to classify; the CNN sees the first.
        poolings: The poolings of the ViT.
        components: Numbers of principal components, besides all dimensions.
        training: Settings of all projections, see `Training`.
        held_classes: Held-out training classes on which learning rates are chosen.
        rates: Learning rates to choose from.
        rate_dims: Width of the projection in that search.
        dims: Widths of the projection.
        margins: Values of β.
        koleo: Values of λ, including 0.
        seeds: The seeds of the batches.
        test_share: The share of photos on which classifiers are tested.
        penalties: The penalties of the linear classifier.
        trees: Number of trees.
    """

    about: str
    search_size: int
    photo_sizes: list[int]
    poolings: list[str]
    components: list[int]
    training: dict[str, Any]
    held_classes: int
    rates: list[float]
    rate_dims: int
    dims: list[int]
    margins: list[float]
    koleo: list[float]
    seeds: list[int]
    test_share: float
    penalties: list[float]
    trees: int


def reductions(plan: Plan) -> list[str]:
    """Return the names of the dimensions of IRT_O: all, components, whitened components.

    Args:
        plan: The plan.
    """
    return [
        ALL,
        *map(str, plan.components),
        *(WHITENED.format(number) for number in plan.components),
    ]


def read_plan(path: Path) -> Plan:
    """Load the file of the study.

    Args:
        path: The YAML file.

    Raises:
        ValueError: If a key is missing or unknown.
    """
    try:
        return Plan(**read_yaml(path))
    except TypeError as error:
        raise ValueError(f'{path} is no plan of a study of frozen features: {error}') from None

"""Grids of trainings: which cells there are, running them, and what they say together."""

from ..evaluation.functional.statistics import (
    PairedDifference,
    Summary,
    paired_difference,
    summarize,
)
from .grid import Cell, Study, make_cells, read_study

__all__ = [
    'Cell',
    'PairedDifference',
    'Study',
    'Summary',
    'make_cells',
    'paired_difference',
    'read_study',
    'summarize',
]

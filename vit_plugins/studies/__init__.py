"""Grids of trainings: list their cells, run them, and report the results."""

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

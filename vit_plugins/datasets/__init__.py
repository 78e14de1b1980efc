"""Data sets, transforms and what finds, checks and splits people's own images."""

from . import samplers, transforms  # noqa: F401  (registration)
from .class_subset import ClassSubset
from .digits import Digits
from .image_folder import ImageFolder

__all__ = ['ClassSubset', 'Digits', 'ImageFolder']

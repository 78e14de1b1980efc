"""Data sets, transforms and what finds, checks and splits people's own images."""

from .digits import Digits

__all__ = ['Digits']

"""Metrics."""

from .class_f1 import ClassF1

__all__ = ['ClassF1']

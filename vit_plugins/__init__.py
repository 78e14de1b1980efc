"""Vision transformers that learn from little data, as a plugin of MMPretrain."""

from . import datasets, engine, evaluation, models  # noqa: F401  (registration)

__version__ = '0.1.0'

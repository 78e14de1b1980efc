"""Vision transformers that learn from little data, as a plugin of MMPretrain."""

from . import checkpoints

checkpoints.register()

from . import datasets, engine, evaluation, models  # noqa: E402, F401  (registration)

__version__ = '0.1.0'

"""Vision transformers that learn from little data, as a plugin of MMPretrain."""

from .host import check_host

check_host()

from . import checkpoints, datasets, engine, evaluation, models  # noqa: E402, F401  (registration)

checkpoints.register()

__version__ = '0.1.0'

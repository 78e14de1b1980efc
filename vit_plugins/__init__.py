"""Vision transformers that learn from little data, as a plugin of MMPretrain."""

from .host import thread_waiting  # noqa: F401  (in our own commands: before torch is loaded)
from .host.check import check_host

check_host()

from . import datasets, engine, evaluation, fileio, models  # noqa: E402, F401  (registration)
from .weights import fitted, index, reading  # noqa: E402

reading.register()
fitted.register()
index.register_models()

__version__ = '0.1.0'

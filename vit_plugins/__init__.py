"""Vision transformers that learn from little data, as a plugin of MMPretrain."""

from . import thread_waiting  # noqa: F401  (in our own commands: before torch is loaded)
from .host import check_host

check_host()

from . import (  # noqa: E402
    checkpoints,
    datasets,  # noqa: F401  (registration, as below)
    engine,  # noqa: F401
    evaluation,  # noqa: F401
    models,  # noqa: F401
    published_weights,
)
from .weights import fitted  # noqa: E402

checkpoints.register()
fitted.register()
published_weights.register_models()

__version__ = '0.1.0'

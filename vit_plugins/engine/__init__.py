from .hooks import *  # noqa: F403
from .loops import *  # noqa: F403
from .optim_wrappers import *  # noqa: F403
from .schedulers import *  # noqa: F403
from .strategies import *  # noqa: F403

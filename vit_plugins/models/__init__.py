from .backbones import *  # noqa: F403
from .data_preprocessors import *  # noqa: F403
from .heads import *  # noqa: F403
from .layers import *  # noqa: F403
from .losses import *  # noqa: F403
from .memories import *  # noqa: F403
from .necks import *  # noqa: F403
from .retrievers import *  # noqa: F403

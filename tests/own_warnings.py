"""Filter warnings by the module that warns, not by the line that they point at."""

import sys
import warnings
from types import FrameType

_warn = warnings.warn


def _is_import(frame: FrameType) -> bool:
    name = frame.f_code.co_filename
    return 'importlib' in name and '_bootstrap' in name


def _place(frame: FrameType, stacklevel: int) -> FrameType:
    """Return the frame that a warning points at; frames of the import system do not count."""
    for _ in range(stacklevel - 1):
        above = frame.f_back
        while above is not None and _is_import(above):
            above = above.f_back
        if above is None:
            break
        frame = above
    return frame


def warn(message, category=None, stacklevel=1, source=None, **kwargs):
    """Warn as usual, but under the name of our module also if ``stacklevel`` names its caller."""
    caller = sys._getframe(1)
    module = caller.f_globals.get('__name__', '')
    if module.split('.')[0] != 'vit_plugins' or kwargs:
        return _warn(message, category, stacklevel + 1, source, **kwargs)
    if isinstance(message, Warning):
        category = type(message)
    place = _place(caller, stacklevel)
    return warnings.warn_explicit(
        message,
        category or UserWarning,
        place.f_code.co_filename,
        place.f_lineno,
        module=module,
        source=source,
    )

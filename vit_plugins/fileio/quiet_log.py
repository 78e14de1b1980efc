"""Keep trial runs out of the log."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator

from mmengine.logging import MMLogger


@contextlib.contextmanager
def without_information() -> Iterator[None]:
    """Log only warnings and errors while a model is built or read on trial."""
    before = logging.root.manager.disable
    # the loggers of MMEngine remember what was enabled, and are not reached by logging.disable
    levels = {logger: logger.level for logger in MMLogger._instance_dict.values()}
    logging.disable(max(before, logging.INFO))
    for logger, level in levels.items():
        logger.setLevel(max(level, logging.WARNING))
    try:
        yield
    finally:
        logging.disable(before)
        for logger, level in levels.items():
            logger.setLevel(level)

"""Keep what fills a terminal for screens, and is read afterwards if at all, in the log file."""

from __future__ import annotations

import logging
import re

MOST_LINES = 12
# Single lines that come by the hundred, and what the host says of its own inner life.
FILE_ONLY = re.compile(
    r'paramwise_options --|Hooks will be executed|Because batch augmentations are enabled'
    r'|Distributed training is not used, all SyncBatchNorm|"?\w+Backend"? is the alias of'
    r'|"FileClient" will be deprecated|Checkpoints will be saved to|Saving checkpoint at|Exp name:'
)


class TerminalFilter(logging.Filter):
    """Pass what a person watching reads: warnings, progress, scores; all is in the log file."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether a record is shown.

        Args:
            record: The record. One with ``shown=True`` is shown in any case.
        """
        if getattr(record, 'shown', False):
            return True
        text = record.getMessage()
        if FILE_ONLY.match(text):
            return False
        return record.levelno >= logging.WARNING or text.count('\n') < MOST_LINES


def quieten(logger: logging.Logger) -> None:
    """Filter what a logger writes to terminals; its files hold all.

    Args:
        logger: The logger.
    """
    for handler in logger.handlers:
        is_stream = isinstance(handler, logging.StreamHandler)
        if is_stream and not isinstance(handler, logging.FileHandler):
            handler.filters = [f for f in handler.filters if not isinstance(f, TerminalFilter)]
            handler.addFilter(TerminalFilter())

"""Keep long output off the terminal; it goes to the log file only."""

from __future__ import annotations

import logging
import re

MOST_LINES = 12
# Single lines that come by the hundred, and messages of the host about its internals.
FILE_ONLY = re.compile(
    r'paramwise_options --|Hooks will be executed|Because batch augmentations are enabled'
    r'|Distributed training is not used, all SyncBatchNorm|"?\w+Backend"? is the alias of'
    r'|"FileClient" will be deprecated|Checkpoints will be saved to|Saving checkpoint at|Exp name:'
    r'|\S+ is skipped since its requires_grad=False'  # each frozen weight; which are is in the log
)


class TerminalFilter(logging.Filter):
    """Pass what users read on a terminal: warnings, progress, scores. The log file has all."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether to show a record.

        Args:
            record: The record; a record with ``shown=True`` is always shown.
        """
        if getattr(record, 'shown', False):
            return True
        text = record.getMessage()
        if FILE_ONLY.match(text):
            return False
        return record.levelno >= logging.WARNING or text.count('\n') < MOST_LINES


def quieten(logger: logging.Logger) -> None:
    """Filter the output of a logger to terminals; its files get everything.

    Args:
        logger: The logger.
    """
    for handler in logger.handlers:
        is_stream = isinstance(handler, logging.StreamHandler)
        if is_stream and not isinstance(handler, logging.FileHandler):
            handler.filters = [f for f in handler.filters if not isinstance(f, TerminalFilter)]
            handler.addFilter(TerminalFilter())

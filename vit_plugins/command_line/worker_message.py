"""Read the message of an error that a worker of a dataloader has passed on."""

from __future__ import annotations

import re


def message_of(error: BaseException) -> str:
    """Return the message of an error, without the traceback that torch puts before it.

    If a worker process fails, torch raises an error of the same type in the main process, whose
    message is the traceback of the worker.

    Args:
        error: Any error.
    """
    text = str(error)
    if ' in DataLoader worker process ' not in text.partition('\n')[0]:
        return text
    begins = list(re.finditer(rf'^(?:[\w.]+\.)?{type(error).__name__}: ', text, re.MULTILINE))
    return text[begins[-1].end() :].strip() if begins else text

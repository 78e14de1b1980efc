"""Silence for what a program only tries."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator


@contextlib.contextmanager
def without_information() -> Iterator[None]:
    """Log warnings and errors only, as long as a model is built or read on trial."""
    before = logging.root.manager.disable
    logging.disable(max(before, logging.INFO))
    try:
        yield
    finally:
        logging.disable(before)

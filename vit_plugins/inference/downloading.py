"""Fetch images from addresses, within limits of size and time."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

MAX_BYTES = 100_000_000  # an image of a camera has a tenth of this size
MAX_SECONDS = 60.0  # for the whole image
WAIT_SECONDS = 10.0  # to wait without any answer
BLOCK = 1 << 16


class DownloadError(OSError):
    """An image cannot be fetched from an address; the message says why."""


def is_address(name: str | os.PathLike) -> bool:
    """Return whether the name of an image is an address, so that it has to be fetched.

    Args:
        name: A path or an address.
    """
    return str(name).lower().startswith(('http://', 'https://'))


@contextmanager
def downloaded(address: str) -> Iterator[Path]:
    """Fetch a file, and remove it at the end of the block.

    Args:
        address: An address of http or https.

    Raises:
        DownloadError: If it cannot be fetched, is larger than 100 MB or takes longer than a
            minute.
    """
    descriptor, name = tempfile.mkstemp(prefix='vit_plugins_')
    try:
        with os.fdopen(descriptor, 'wb') as file:
            for block in _blocks(address):
                file.write(block)
        yield Path(name)
    finally:
        os.unlink(name)


def _blocks(address: str) -> Iterator[bytes]:
    end = time.monotonic() + MAX_SECONDS
    size = 0
    try:
        request = Request(address, headers={'User-Agent': 'vit_plugins'})
        with urlopen(request, timeout=WAIT_SECONDS) as answer:
            _require_small(int(answer.headers.get('Content-Length') or 0))
            while block := _next_block(answer):
                size += len(block)
                _require_small(size)
                if time.monotonic() > end:
                    raise DownloadError(f'it takes longer than {MAX_SECONDS:g} seconds')
                yield block
    except DownloadError:
        raise
    except HTTPError as error:
        raise DownloadError(f'the server answers {error.code} {error.reason}') from None
    except URLError as error:
        raise DownloadError(f'it cannot be fetched: {error.reason}') from None
    except (OSError, HTTPException, ValueError) as error:
        told = str(error) or type(error).__name__
        raise DownloadError(f'it cannot be fetched: {told}') from None


def _next_block(answer: HTTPResponse) -> bytes:
    return answer.read1(BLOCK)  # `read` would wait for a whole block


def _require_small(size: int) -> None:
    if size > MAX_BYTES:
        raise DownloadError(f'it is larger than {MAX_BYTES // 1_000_000} MB')

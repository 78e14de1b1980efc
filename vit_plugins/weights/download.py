"""Download checkpoints into torch's cache, and compare them with their published digests."""

import hashlib
import logging
from pathlib import Path
from urllib.parse import urlparse

import torch
from mmengine.logging import print_log

from .index import published_digests

# Names that do not identify the model: two such downloads must not share a file in the cache.
_NAMELESS_FILES = ('model.safetensors', 'pytorch_model.bin')


def cached_download(url: str, model_dir: str | None = None) -> Path:
    """Return the path of a downloaded checkpoint: in torch's own cache, under the file's name.

    Args:
        url: The address of the file.
        model_dir: Another folder than ``$TORCH_HOME/hub/checkpoints``.
    """
    name = Path(urlparse(url).path).name
    if name in _NAMELESS_FILES:
        name = f'{hashlib.sha256(url.encode()).hexdigest()[:8]}-{name}'
    return Path(model_dir or Path(torch.hub.get_dir()) / 'checkpoints') / name


def download(url: str, model_dir: str | None = None, progress: bool = False) -> Path:
    """Download a file unless the cache has it, and compare it with its SHA-256 if that is known.

    Args:
        url: The address of the file.
        model_dir: Another folder than ``$TORCH_HOME/hub/checkpoints``.
        progress: Whether to show a progress bar.

    Raises:
        ConnectionError: If the file cannot be downloaded; the message says where to put it by
            hand.
        RuntimeError: If the file is not the published one.
    """
    path = cached_download(url, model_dir)
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        print_log(f'Downloading {url} to {path}', logger='current')
        try:
            torch.hub.download_url_to_file(url, str(path), progress=progress)
        except OSError as error:
            raise ConnectionError(
                f'{url} cannot be fetched ({error}). Fetch it on another machine and save it as '
                f'{path}'
            ) from error
        if published_digests().get(url, '') is None:
            print_log(
                f'The model index has no SHA-256 of {url}, so {path} is not verified.',
                logger='current',
                level=logging.WARNING,
            )
    expected = published_digests().get(url)
    if expected:
        found = hashlib.sha256(path.read_bytes()).hexdigest()
        if found != expected:
            raise RuntimeError(
                f'{path} is not the file published at {url}: its SHA-256 is {found}, not '
                f'{expected}. Delete it and try again.'
            )
    return path

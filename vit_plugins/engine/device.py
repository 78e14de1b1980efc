"""Choose the device of a run: ``--device``."""

from __future__ import annotations

import os

import mmengine.device.utils as host_device
import torch
from mmengine.device import get_device

DEVICES = ('cpu', 'cuda', 'mps')


def use_device(name: str) -> None:
    """Make this process use a device; by default the host takes the first type that it finds.

    The host chooses once, when it is imported, and has no setting for another device. So the
    values that it stored are replaced.

    Args:
        name: 'cpu', 'cuda' or 'mps'.

    Raises:
        ValueError: If this machine has no such device.
    """
    found = [device for device in DEVICES if _is_here(device)]
    if name not in found:
        raise ValueError(
            f'--device {name}: this machine, with torch {torch.__version__}, has '
            f'{" and ".join(found)} only'
        )
    host_device.DEVICE = name


def device_name() -> str:
    """Return the device that the host uses, with the name of the GPU or the cores and threads."""
    device = get_device()
    name = f'{os.cpu_count()} cores, {torch.get_num_threads()} threads'
    if device == 'cuda':
        name = torch.cuda.get_device_name()
    return f'{device} ({name})'


def _is_here(device: str) -> bool:
    if device == 'cuda':
        return torch.cuda.is_available()
    if device == 'mps':
        return torch.backends.mps.is_available()
    return True

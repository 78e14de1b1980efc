"""Which device a run uses: ``--device``."""

from __future__ import annotations

import mmengine.device.utils as host_device
import torch

DEVICES = ('cpu', 'cuda', 'mps')


def use_device(name: str) -> None:
    """Have this process use a device, where the host takes the first kind that it finds.

    The host asks once, as it is imported, and has no setting for another; what it then hands out
    is replaced.

    Args:
        name: 'cpu', 'cuda' or 'mps'.

    Raises:
        ValueError: If there is no such device here.
    """
    found = found_devices()
    if name not in found:
        raise ValueError(
            f'--device {name}: this machine, with torch {torch.__version__}, has '
            f'{" and ".join(found)} only'
        )
    host_device.DEVICE = name


def found_devices() -> list[str]:
    """Return the kinds of device that this machine has."""
    return [device for device in DEVICES if _is_here(device)]


def _is_here(device: str) -> bool:
    if device == 'cuda':
        return torch.cuda.is_available()
    if device == 'mps':
        return torch.backends.mps.is_available()
    return True

"""Identify the weights that features come from by a short digest."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

ENCODER = ('backbone.', 'neck.')


def weights_digest(state: Mapping[str, Any]) -> str:
    """Compute a short digest of the weights that features depend on.

    Args:
        state: The state dict of the model.

    Returns:
        A digest that is equal only for equal weights, on any device.
    """
    digest = hashlib.blake2b(digest_size=16)
    for name in sorted(state):
        if name.startswith(ENCODER) and isinstance(state[name], Tensor):
            digest.update(name.encode())
            value = state[name].detach().cpu().contiguous().flatten()
            digest.update(value.view(torch.uint8).numpy())
    return digest.hexdigest()

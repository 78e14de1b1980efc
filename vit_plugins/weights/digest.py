"""Which weights features come from, in a few letters."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

ENCODER = ('backbone.', 'neck.')


def weights_digest(state: Mapping[str, Any]) -> str:
    """Sum up in a few letters the weights that features depend on.

    Args:
        state: State dict of the model.

    Returns:
        A digest: equal for equal weights, wherever they are, and only for those.
    """
    digest = hashlib.blake2b(digest_size=16)
    for name in sorted(state):
        if name.startswith(ENCODER) and isinstance(state[name], Tensor):
            digest.update(name.encode())
            value = state[name].detach().cpu().contiguous().flatten()
            digest.update(value.view(torch.uint8).numpy())
    return digest.hexdigest()

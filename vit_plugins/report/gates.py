"""The gates of gated positional self-attention, from a checkpoint."""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor

LAYER = re.compile(r'layers\.(\d+)\.')


def gates_of(state: Mapping[str, Tensor]) -> dict[int, list[float]]:
    """Return sigmoid(gate) of each head by layer: 1 looks at positions alone, 0 at content.

    S. d'Ascoli et al., ConViT, ICML 2021, equation 7.

    Args:
        state: The weights of a model; of one without GPSA the answer is empty.
    """
    found = {}
    for name, value in state.items():
        if name.endswith('gating_param') and (layer := LAYER.search(name)):
            found[int(layer[1])] = torch.sigmoid(value.float()).flatten().tolist()
    return dict(sorted(found.items()))

"""Read from a ConViT's weights its gates and where its heads look by position."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import nn

from ...evaluation.functional.gate_statistics import centres_and_strengths, gate_values
from ..layers.gpsa import GPSA
from .attention_maps import NothingToReadError


@dataclass(frozen=True)
class Gates:
    """The gates and positional attention of the L GPSA layers of a model, with h heads each.

    Attributes:
        layers: Names of the layers within the backbone, L.
        gates: σ(λ), the share of position, (L, h).
        centres: Offsets (x, y) in patches that heads attend to by position, (L, h, 2); NaN where
            attention grows away from the query.
        strengths: How sharply heads attend to their centres, (L, h).
    """

    layers: tuple[str, ...]
    gates: np.ndarray
    centres: np.ndarray
    strengths: np.ndarray


def gated_layers(model: nn.Module) -> dict[str, GPSA]:
    """Return the GPSA modules of a model that have a gate, by their names within the backbone.

    Args:
        model: A classifier, a retriever or a backbone.

    Raises:
        NothingToReadError: If it has no such module.
    """
    backbone = getattr(model, 'backbone', model)
    modules = {name: m for name, m in backbone.named_modules() if isinstance(m, GPSA)}
    gated = {name: module for name, module in modules.items() if module.mode == 'gpsa'}
    if gated:
        return gated
    if modules:
        raise NothingToReadError(
            f"the GPSA layers of this {type(backbone).__name__} are of gpsa_mode='psa', which has "
            "no gates: gpsa_mode='gpsa' has"
        )
    raise NothingToReadError(
        f'{type(backbone).__name__} has no gates: ConViT has, in its GPSA layers'
        + ('; here num_local_layers is 0' if hasattr(backbone, 'num_local_layers') else '')
    )


def read_gates(model: nn.Module) -> Gates:
    """Read gates, attention centres and strengths of all GPSA layers.

    Args:
        model: A classifier, a retriever or a backbone with GPSA.

    Raises:
        NothingToReadError: If it has no gates.
    """
    layers = gated_layers(model)
    found = [centres_and_strengths(gpsa.positional_weight()) for gpsa in layers.values()]
    return Gates(
        tuple(layers),
        np.stack([gate_values(gpsa.gating_param).cpu().numpy() for gpsa in layers.values()]),
        np.stack([centres.cpu().numpy() for centres, _ in found]),
        np.stack([strengths.cpu().numpy() for _, strengths in found]),
    )

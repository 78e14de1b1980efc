"""Compare two checkpoints entry by entry."""

from collections.abc import Sequence

import torch


def leaves(part, name=''):
    """Return the tensors and numbers of a checkpoint by name."""
    if isinstance(part, dict | list | tuple):
        items = part.items() if isinstance(part, dict) else enumerate(part)
        return {k: v for key, x in items for k, v in leaves(x, f'{name}.{key}').items()}
    return {name: torch.as_tensor(part)} if isinstance(part, torch.Tensor | int | float) else {}


def differing(one: dict, other: dict, parts: Sequence[str]) -> list[str]:
    """Return the names of the entries that only one has, or that differ by any bit."""
    one, other = (leaves({part: content.get(part) for part in parts}) for content in (one, other))
    names = one.keys() | other.keys()
    return [
        n for n in names if n not in one or n not in other or not torch.equal(one[n], other[n])
    ]

"""Find weights and predictions that are no finite numbers."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from mmengine.structures import BaseDataElement
from torch import Tensor


def non_finite_weights(state_dict: Mapping[str, Any]) -> list[str]:
    """Return the names of tensors that contain NaN or an infinite number.

    Attention masks, which contain only 0 and minus infinity, are left out.

    Args:
        state_dict: Tensors by name; values that are no floating-point tensors are ignored.

    Returns:
        The names, in the order of ``state_dict``.
    """
    tensors = {k: v for k, v in state_dict.items() if isinstance(v, Tensor)}
    tensors = {k: v for k, v in tensors.items() if v.is_floating_point() and v.numel()}
    finite = read_flags([v.isfinite().all() for v in tensors.values()])
    suspects = [k for k, ok in zip(tensors, finite, strict=True) if not ok]
    return [k for k in suspects if not _is_mask(tensors[k])]


def non_finite_in_checkpoint(checkpoint: Mapping[str, Any]) -> list[str]:
    """Return the names of weights of a checkpoint, averaged or not, that are not finite.

    Args:
        checkpoint: A checkpoint of the host, with ``state_dict`` and, from ``EMAHook``,
            ``ema_state_dict``; or the weights alone.
    """
    weights = checkpoint.get('state_dict', checkpoint)
    parts = [weights, checkpoint.get('ema_state_dict') or {}]
    return list(dict.fromkeys(name for part in parts for name in non_finite_weights(part)))


def read_flags(flags: Sequence[Tensor]) -> list[bool]:
    """Return truth values with one wait for each device, not one for each value.

    Args:
        flags: Tensors of shape (), on any devices.

    Returns:
        Their values, in the same order.
    """
    places: dict[torch.device, list[int]] = {}
    for place, flag in enumerate(flags):
        places.setdefault(flag.device, []).append(place)
    found = [False] * len(flags)
    for there in places.values():
        values = torch.stack([flags[place] for place in there]).tolist()
        for place, value in zip(there, values, strict=True):
            found[place] = value
    return found


def _is_mask(tensor: Tensor) -> bool:
    return bool(((tensor == 0) | tensor.isneginf()).all())


def first_non_finite(samples: Iterable[BaseDataElement]) -> tuple[int, str] | None:
    """Return the first sample whose prediction contains NaN or an infinite number.

    Args:
        samples: The predictions of a model.

    Returns:
        Its index and the name of the field; None if all are finite.
    """
    places, values = [], []
    for place, sample in enumerate(samples):
        for name, value in sample.items():
            if isinstance(value, Tensor) and value.is_floating_point():
                places.append((place, name))
                values.append(value.isfinite().all())
    finite = read_flags(values)
    return next((where for where, ok in zip(places, finite, strict=True) if not ok), None)


def json_text(content: Any, **settings: Any) -> str:
    """Return JSON that every program can read: NaN and infinite numbers become ``null``.

    Args:
        content: Nested dicts and lists of plain values.
        **settings: Arguments of ``json.dumps``.

    Examples:
        >>> json_text({'f1': [0.5, float('nan')]})
        '{"f1": [0.5, null]}'
    """
    return json.dumps(_with_null(content), allow_nan=False, **settings)


def _with_null(content: Any) -> Any:
    if isinstance(content, Mapping):
        return {key: _with_null(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_with_null(value) for value in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content

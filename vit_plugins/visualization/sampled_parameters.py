"""Record what the random transforms of a pipeline sampled, and describe it in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, is_dataclass
from numbers import Real
from typing import Any

import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmengine.dataset import Compose
from mmpretrain.datasets.transforms.processing import TorchVisonTransformWrapper

from ..datasets.transforms.simple_random_crop import SimpleRandomCropParams
from ..datasets.transforms.three_augment import ThreeAugmentParams

# they only choose other transforms, which are recorded themselves
PICKS = ('random_policy_indices', 'random_pipeline_index', 'random_apply')


@dataclass(frozen=True)
class SampledParameter:
    """One random decision.

    Attributes:
        transform: The transform that made it, from mmcv or torchvision.
        method: Its random method.
        value: The sampled value.
    """

    transform: BaseTransform | torch.nn.Module
    method: str
    value: Any


@contextmanager
def record_sampled(transforms: Any) -> Iterator[list[SampledParameter]]:
    """Record what transforms sample within the context.

    Every method that a transform marks as random (mmcv's ``cache_randomness``) is recorded, and
    the ``get_params`` of torchvision's transforms. A transform that samples elsewhere is not
    recorded. The random stream does not change.

    Args:
        transforms: A transform, or any nesting of lists and of transforms that hold others.

    Yields:
        The list of the sampled parameters in order; it grows as the transforms run.
    """
    sampled: list[SampledParameter] = []
    heard = []

    def listen(transform: BaseTransform | torch.nn.Module, name: str) -> None:
        method = getattr(transform, name)

        def note(*args: Any, **kwargs: Any) -> Any:
            value = method(*args, **kwargs)
            sampled.append(SampledParameter(transform, name, value))
            return value

        setattr(transform, name, note)
        heard.append((transform, name))

    for transform in dict.fromkeys(_nested(transforms)):
        for name in dict.fromkeys(getattr(transform, '_methods_with_randomness', ['get_params'])):
            if hasattr(transform, name):  # a class shares the list with its base classes
                listen(transform, name)
    try:
        yield sampled
    finally:
        for transform, name in heard:
            delattr(transform, name)


def describe_sampled(sampled: Sequence[SampledParameter]) -> list[str]:
    """Write the sampled parameters as short lines, one per transform that had an effect.

    Args:
        sampled: The recorded parameters.

    Returns:
        Lines such as ``'Rotate -21'`` or ``'RandomFlip horizontal'``. A transform that chance
        switched off, or that only chooses among others, has no line.
    """
    lines = []
    for transform, found in _calls(sampled):
        if found.pop('random_disable', False):
            continue
        if 'random_negative' in found:  # the magnitude with its sign
            found.pop('random_magnitude', None)
        picks = [key for key in PICKS if found.pop(key, None) is not None]
        words = [describe_value(value, name) for name, value in found.items()]
        if any(words) or not (found or picks):
            lines.append(' '.join([type(transform).__name__, *filter(None, words)]))
    return lines


def describe_value(value: Any, method: str = '') -> str:
    """Write a sampled value, numbers to three digits; nothing for None and False.

    Args:
        value: A number, text, sequence or dataclass.
        method: The method that sampled it; ``rand_crop_params`` returns a position and a size.
    """
    if value is None or value is False:
        return ''
    if method == 'rand_crop_params':
        top, left, height, width = value
        return f'{_size(height, width)} at {left},{top}'
    if isinstance(value, SimpleRandomCropParams):
        place = f'{value.left - value.padding},{value.top - value.padding}'
        return f'at {place} of {_size(*value.scaled_shape)}'
    if isinstance(value, ThreeAugmentParams):
        member = ['flip' if value.flip else None, value.member, value.threshold, value.radius]
        jitter = [f'{name[0]}{factor:.2f}' for name, factor in value.jitter]
        return describe_value(member) + (f'\njitter {" ".join(jitter)}' if jitter else '')
    if is_dataclass(value):
        parts = [(field.name, getattr(value, field.name)) for field in fields(value)]
        return ' '.join(_field(name, part) for name, part in parts if describe_value(part))
    if isinstance(value, Real) and not isinstance(value, bool):
        return f'{float(value):.3g}'
    if isinstance(value, list | tuple | np.ndarray):
        return ' '.join(filter(None, map(describe_value, value)))
    return str(value)


def _calls(sampled: Sequence[SampledParameter]) -> list[tuple[Any, dict[str, Any]]]:
    """Group the parameters that a transform sampled for one image; it may run more than once."""
    calls: list[tuple[Any, dict[str, Any]]] = []
    for parameter in sampled:
        found = [values for transform, values in calls if transform is parameter.transform]
        if not found or parameter.method in found[-1]:
            found.append({})
            calls.append((parameter.transform, found[-1]))
        found[-1][parameter.method] = parameter.value
    return calls


def _size(height: int, width: int) -> str:
    return f'{width}x{height}'  # Pillow's own font has no ×


def _field(name: str, value: Any) -> str:
    """Write a field; text needs no name."""
    return value if isinstance(value, str) else f'{name} {describe_value(value)}'


def _nested(value: Any) -> list[BaseTransform | torch.nn.Module]:
    """List the transforms in a nesting of sequences and of transforms, outer ones first."""
    if isinstance(value, TorchVisonTransformWrapper):
        return [value.t]
    if isinstance(value, BaseTransform):
        return [value, *_nested(vars(value))]
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        return [transform for item in value for transform in _nested(item)]
    # mmengine's Compose, which is no transform, keeps its own under this name
    return _nested(value.transforms) if isinstance(value, Compose) else []

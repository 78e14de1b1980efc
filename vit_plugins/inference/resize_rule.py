"""Convert test transforms to plain steps that a program without OpenMMLab can follow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..config_edits.walking import type_name

UNSEEN = ('LoadImageFromFile', 'LoadPhoto', 'PackInputs')
INTERPOLATIONS = {
    'cv2': ('bilinear', 'bicubic'),
    'pillow': ('nearest', 'bilinear', 'bicubic', 'box', 'lanczos', 'hamming'),
}


def resize_rule(pipeline: Sequence[Mapping]) -> list[dict[str, Any]]:
    """Return the steps by which a test pipeline changes the size of a photo.

    Args:
        pipeline: Configs of the transforms.

    Returns:
        Dicts with a ``step``: ``'resize'`` (width, height), ``'resize_edge'`` (edge, size),
        ``'fit'`` (long, short) or ``'center_crop'`` (width, height). Steps that resize also have
        ``backend`` and ``interpolation``.

    Raises:
        ValueError: If a transform does something else.

    >>> resize_rule([dict(type='CenterCrop', crop_size=224), dict(type='PackInputs')])
    [{'step': 'center_crop', 'width': 224, 'height': 224}]
    """
    steps = {'Resize': _resize, 'ResizeEdge': _resize_edge, 'CenterCrop': _center_crop}
    rule = []
    for transform in pipeline:
        name = type_name(transform)
        if name in UNSEEN:
            continue
        if name not in steps:
            raise ValueError(
                f'the test pipeline has {name}, which the exported file cannot describe: leave it '
                f'to {", ".join(steps)}'
            )
        rule.append(steps[name](transform))
    return rule


def fixed_size(rule: Sequence[Mapping]) -> tuple[int, int] | None:
    """Return the height and width of every photo after a rule; None if they differ.

    Args:
        rule: The result of :func:`resize_rule`.
    """
    last = rule[-1] if rule else {}
    if last.get('step') in ('resize', 'center_crop'):
        return last['height'], last['width']
    return None


def _pair(value: int | Sequence[int]) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else tuple(value)


def _how(transform: Mapping) -> dict[str, str]:
    backend = transform.get('backend', 'cv2')
    interpolation = transform.get('interpolation', 'bilinear')
    if interpolation not in INTERPOLATIONS.get(backend, ()):
        raise ValueError(
            f'the test pipeline resizes by {interpolation!r} of {backend!r}, which a program of '
            "numpy and Pillow cannot repeat: set backend='pillow', or interpolation='bilinear' "
            "or 'bicubic'"
        )
    return {'backend': backend, 'interpolation': interpolation}


def _resize(transform: Mapping) -> dict[str, Any]:
    if transform.get('scale') is None:
        raise ValueError('Resize of the test pipeline has no scale: give it one to export')
    width, height = _pair(transform['scale'])
    if transform.get('keep_ratio'):
        sides = {'long': max(width, height), 'short': min(width, height)}
        return {'step': 'fit', **sides, **_how(transform)}
    return {'step': 'resize', 'width': width, 'height': height, **_how(transform)}


def _resize_edge(transform: Mapping) -> dict[str, Any]:
    edge = transform.get('edge', 'short')
    return {'step': 'resize_edge', 'edge': edge, 'size': transform['scale'], **_how(transform)}


def _center_crop(transform: Mapping) -> dict[str, Any]:
    width, height = _pair(transform['crop_size'])
    return {'step': 'center_crop', 'width': width, 'height': height}

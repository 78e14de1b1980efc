"""Set resize and centre crop of a test pipeline by the share of the short side that is seen."""

from __future__ import annotations

from .walking import component_names, components


def set_crop_ratio(pipeline: list[dict], ratio: float) -> None:
    """Set the share of the short side that a test pipeline shows, at the same input size.

    The short side is resized to ``int(S / ratio)`` before the centre crop of S x S, as the
    official code and timm do: 224 / 0.875 = 256; 1 shows the whole short side.

    >>> pipeline = [dict(type='ResizeEdge', scale=256), dict(type='CenterCrop', crop_size=224)]
    >>> set_crop_ratio(pipeline, 0.95)
    >>> pipeline[0]['scale']
    235

    Args:
        pipeline: The transforms, changed in place; nested ones, such as views, count too.
        ratio: The share, within (0, 1].

    Raises:
        ValueError: If the ratio is out of range, or the pipeline is not one ResizeEdge of the
            short side followed by one square CenterCrop.
    """
    if not 0 < ratio <= 1:
        raise ValueError(f'the crop ratio must lie within (0, 1], got {ratio}')
    steps = components(pipeline, 'ResizeEdge', 'CenterCrop')
    if component_names(steps) != ['ResizeEdge', 'CenterCrop']:
        raise ValueError(
            'the crop ratio is set through one ResizeEdge and one CenterCrop after it, but the '
            f'test pipeline is {" > ".join(component_names(pipeline))}'
        )
    resize, crop = steps
    size = crop['crop_size']
    sides = {size} if isinstance(size, int) else set(size)
    if len(sides) > 1 or resize.get('edge', 'short') != 'short' or crop.get('efficientnet_style'):
        raise ValueError(
            'the crop ratio needs the short side resized and a plain square crop, got '
            f'{dict(resize)} and {dict(crop)}'
        )
    resize['scale'] = int(sides.pop() / ratio)

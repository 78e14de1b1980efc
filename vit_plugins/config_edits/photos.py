"""Change a recipe from arrays of one small size (CIFAR) to image files of any size."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from mmengine.config import Config

from ..datasets.transforms.load_photo import use_load_photo
from .walking import (
    component_names,
    components,
    image_size,
    preprocessor_of,
    walk,
    walk_pipelines,
)

# keys whose three numbers are a colour, anywhere in a pipeline
COLOUR_KEYS = ('fill_color', 'fill_std', 'pad_val')


def accept_photos(cfg: Config) -> Config:
    """Change pipelines and normalisation of a config to image files, if they do not use files yet.

    Arrays are RGB (``to_rgb=False``) while files are read as BGR. So the preprocessor has to swap
    channels, or the mean and std of red would be applied to blue. Colours in the pipelines (fill,
    padding) are swapped as well. A pipeline without resizing, such as for CIFAR, gets a resize to
    the size of its crop (or of the model). Files are loaded by ``LoadPhoto``.

    Args:
        cfg: A classification config, changed in place.

    Returns:
        The same config.

    Raises:
        ValueError: If a pipeline does not resize and the config does not give a size.
    """
    preprocessor = preprocessor_of(cfg)
    grey = len(preprocessor.get('mean') or (0, 0, 0)) == 1
    pipelines = [p for p in walk_pipelines(cfg) if p]
    size = None if all(map(_resizes, pipelines)) else image_size(cfg)
    if not all(map(_loads, pipelines)) and not grey:
        preprocessor['to_rgb'] = True
        _swap_channels(preprocessor.get('batch_transforms'))
    for pipeline in pipelines:
        pipeline[:] = photo_pipeline(pipeline, size, grey=grey)
    return cfg


def photo_pipeline(
    pipeline: list[dict], size: int | tuple[int, int] | None, *, grey: bool = False
) -> list[dict]:
    """Return a pipeline that reads files.

    Args:
        pipeline: The transforms, for RGB arrays if there is no loader among them.
        size: The side, or (height, width), for a pipeline that does not resize.
        grey: Whether the model has one input channel.
    """
    pipeline = deepcopy(list(pipeline))
    if _loads(pipeline):
        return use_load_photo(pipeline)
    loader = {'type': 'LoadPhoto', **({'color_type': 'grayscale'} if grey else {})}
    if not grey:
        _swap_channels(pipeline)
    return [loader, *(pipeline if _resizes(pipeline) else _resize(pipeline, size))]


def _swap_channels(transforms: Any) -> None:
    """Change the colours and the channel order in transforms from RGB to BGR, in place."""
    for node in walk(transforms):
        if node.get('channel_order') == 'rgb':
            node['channel_order'] = 'bgr'
        for key in COLOUR_KEYS:
            value = node.get(key)
            if isinstance(value, list | tuple) and len(value) == 3:
                node[key] = type(value)(value[::-1])


def _loads(pipeline: list[dict]) -> bool:
    return bool(components(pipeline, 'LoadImageFromFile', 'LoadPhoto'))


def _resizes(pipeline: list[dict]) -> bool:
    names = [name.rpartition('/')[2] for name in component_names(pipeline)]
    return any('Resize' in n or n.startswith(('EfficientNet', 'SimpleRandom')) for n in names)


def _resize(pipeline: list[dict], size: int | tuple[int, int]) -> list[dict]:
    """Resize the short edge to the size, before all other transforms, and crop the rest."""
    height, width = (size, size) if isinstance(size, int) else size
    # Pillow averages over the dropped pixels; OpenCV's bicubic would alias a smaller photo
    edge = {
        **{'type': 'ResizeEdge', 'scale': max(height, width), 'edge': 'short'},
        **{'backend': 'pillow', 'interpolation': 'bicubic'},
    }
    if any(name.endswith('Crop') for name in component_names(pipeline)):
        return [edge, *pipeline]  # the pipeline's own crop
    # CenterCrop reads a tuple as (width, height)
    return [edge, {'type': 'CenterCrop', 'crop_size': (width, height)}, *pipeline]

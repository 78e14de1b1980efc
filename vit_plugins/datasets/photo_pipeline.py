"""Let a recipe for arrays of one small size (CIFAR) take image files of any size."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import deepcopy
from typing import Any

from mmengine.config import Config

# three numbers that are a colour wherever they stand in a pipeline
COLOUR_KEYS = ('fill_color', 'fill_std', 'pad_val')
# arguments of the host's loader that LoadPhoto has, too
LOADER_ARGUMENTS = ('type', 'to_float32', 'color_type', 'ignore_empty', 'backend_args')


def accept_photos(cfg: Config) -> Config:
    """Turn pipelines and normalisation of a config to image files; no change if they do so yet.

    Arrays come in RGB (``to_rgb=False``) while files are read as BGR: the preprocessor then has
    to swap channels, or the mean and std of red would be applied to blue, and colours within the
    pipelines (fill, padding) are swapped as well. A pipeline without any resizing, as for CIFAR,
    gets one to the size of its crop (or of the model). Files are loaded by ``LoadPhoto``.

    Args:
        cfg: A classification config, changed in place.

    Returns:
        The same config.

    Raises:
        ValueError: If a pipeline does not resize and no size is to be found in the config.
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
    """Make one pipeline read files.

    Args:
        pipeline: The transforms, for RGB arrays if there is no loader among them.
        size: The side, or (height, width), for a pipeline that does not resize.
        grey: Whether the model takes one channel.
    """
    pipeline = deepcopy(list(pipeline))
    if _loads(pipeline):
        return use_load_photo(pipeline)
    loader = {'type': 'LoadPhoto', **({'color_type': 'grayscale'} if grey else {})}
    if not grey:
        _swap_channels(pipeline)
    return [loader, *(pipeline if _resizes(pipeline) else _resize(pipeline, size))]


def use_load_photo(pipeline: Sequence) -> list:
    """Return a pipeline that loads by ``LoadPhoto`` where it loads by the host's default loader.

    A loader with settings that ``LoadPhoto`` does not have, as another ``imdecode_backend``, is
    somebody's choice and stays.

    Args:
        pipeline: The transforms.
    """
    return [_load_photo(step) if _is_default_loader(step) else step for step in pipeline]


def image_size(cfg: Config) -> int | tuple[int, int]:
    """Find the size of the images that a model is trained on.

    Args:
        cfg: A config with pipelines and model.

    Raises:
        ValueError: If neither pipelines nor model tell.
    """
    for node in walk([p for p in walk_pipelines(cfg) if p]):
        name = type_name(node)
        key = 'crop_size' if name.endswith('Crop') and 'crop_size' in node else 'scale'
        if key in node and ('Crop' in name or name == 'Resize'):
            # these two write (width, height)
            return _size(node[key], swap=name in ('CenterCrop', 'Resize'))
    img_size = cfg.model.get('backbone', {}).get('img_size')
    if img_size:
        return _size(img_size)
    raise ValueError(
        'cannot tell the image size of this config: its pipelines neither crop nor resize and '
        "the backbone has no img_size; add dict(type='Resize', scale=...) to the pipelines"
    )


def preprocessor_of(cfg: Config) -> dict:
    """Give the data preprocessor's settings, wherever the config keeps them.

    Args:
        cfg: A config; it gets an empty ``data_preprocessor`` if it has none.
    """
    for holder in (cfg.model, cfg):
        if holder.get('data_preprocessor') is not None:
            return holder['data_preprocessor']
    cfg['data_preprocessor'] = {}
    return cfg['data_preprocessor']


def walk(node: Any) -> Iterator[dict]:
    """Visit every dict within nested dicts and lists.

    Args:
        node: Where to begin.
    """
    if isinstance(node, dict):
        yield node
        node = list(node.values())
    if isinstance(node, list | tuple):
        for child in node:
            yield from walk(child)


def walk_pipelines(cfg: Config) -> Iterator[list]:
    """Visit the pipelines of the data sets, then those that hooks switch to.

    Args:
        cfg: A config.
    """
    for loader in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        for node in walk(cfg.get(loader)):
            if isinstance(node.get('pipeline'), list):
                yield node['pipeline']
    for node in walk(cfg.get('custom_hooks')):
        if isinstance(node.get('train_pipeline'), list):
            yield node['train_pipeline']


def type_name(node: dict) -> str:
    """Give the bare name of a component: no scope, and of a class its name.

    Args:
        node: A config dict.
    """
    kind = node.get('type', '')
    return (kind if isinstance(kind, str) else kind.__name__).rpartition('.')[2]


def _swap_channels(transforms: Any) -> None:
    """Turn the colours and the order of channels within transforms from RGB to BGR, in place."""
    for node in walk(transforms):
        if node.get('channel_order') == 'rgb':
            node['channel_order'] = 'bgr'
        for key in COLOUR_KEYS:
            value = node.get(key)
            if isinstance(value, list | tuple) and len(value) == 3:
                node[key] = type(value)(value[::-1])


def _loads(pipeline: list[dict]) -> bool:
    names = ('LoadImageFromFile', 'LoadPhoto')
    return any(type_name(node) in names for node in walk(pipeline))


def _load_photo(step: dict) -> dict:
    kept = {key: step[key] for key in LOADER_ARGUMENTS if key in step}
    return type(step)({**kept, 'type': 'LoadPhoto'})


def _is_default_loader(step: Any) -> bool:
    return (
        isinstance(step, dict)
        and type_name(step) == 'LoadImageFromFile'
        and set(step) <= {*LOADER_ARGUMENTS, 'imdecode_backend'}
        and step.get('imdecode_backend', 'cv2') == 'cv2'
        and step.get('color_type', 'color') in ('color', 'grayscale')
    )


def _resizes(pipeline: list[dict]) -> bool:
    names = [type_name(node).rpartition('/')[2] for node in walk(pipeline)]
    return any('Resize' in n or n.startswith(('EfficientNet', 'SimpleRandom')) for n in names)


def _resize(pipeline: list[dict], size: int | tuple[int, int]) -> list[dict]:
    """Bring the short edge to the size, before anything else, and cut the rest off."""
    height, width = (size, size) if isinstance(size, int) else size
    # Pillow averages over the pixels it drops; OpenCV's bicubic would alias a shrunk photo
    edge = {
        **{'type': 'ResizeEdge', 'scale': max(height, width), 'edge': 'short'},
        **{'backend': 'pillow', 'interpolation': 'bicubic'},
    }
    if any(type_name(node).endswith('Crop') for node in walk(pipeline)):
        return [edge, *pipeline]  # the pipeline's own crop
    # CenterCrop reads a tuple as (width, height)
    return [edge, {'type': 'CenterCrop', 'crop_size': (width, height)}, *pipeline]


def _size(value: int | list | tuple, swap: bool = False) -> int | tuple[int, int]:
    if isinstance(value, int):
        return value
    return tuple(value[::-1]) if swap else tuple(value)

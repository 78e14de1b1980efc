"""Set the backbone of a trained classifier in a recipe that accepts any backbone."""

from __future__ import annotations

import inspect
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from mmengine.config import Config, ConfigDict
from mmengine.logging import print_log
from mmengine.model import BaseModule
from mmengine.registry import DefaultScope
from mmpretrain import ModelHub, list_models
from mmpretrain.registry import MODELS
from torch import Tensor, nn

from ..fileio.quiet_log import without_information
from ..weights.pretrained_models import pretrained_models
from .walking import image_size, preprocessor_of, type_name, walk, walk_pipelines

TIMM = 'timm/'  # names of timm's models begin with this here
POOLING = {'type': 'GlobalAveragePooling'}


@dataclass(frozen=True)
class Encoder:
    """A trained classifier without its head.

    Attributes:
        name: A name of the model index, or ``timm/NAME``.
        backbone: The config of the backbone, without weights.
        neck: The config of the neck; None if there is none.
        normalisation: ``mean``, ``std`` and ``to_rgb`` of the data preprocessor.
        size: The default size of its images.
    """

    name: str
    backbone: dict[str, Any]
    neck: dict[str, Any] | None
    normalisation: dict[str, Any]
    size: int


def find_encoder(name: str) -> Encoder:
    """Return the encoder of a model by its name.

    Args:
        name: A name of the model index, the host's or ours, or ``timm/NAME``.

    Raises:
        ValueError: If there is no such model, or it is not an image classifier.
    """
    return _timm_encoder(name) if name.startswith(TIMM) else _index_encoder(name)


def _index_encoder(name: str) -> Encoder:
    if name not in list_models():
        raise ValueError(f'{name} is no model of the index: see `vit-plugins list`')
    cfg = deepcopy(ModelHub.get(name).config)
    model = cfg.model
    if type_name(model) != 'ImageClassifier' or not model.get('backbone'):
        raise ValueError(
            f'{name} is a {type_name(model)}, not an ImageClassifier with a backbone: name a '
            'classifier, see configs/pretrained_models.yml'
        )
    given = preprocessor_of(cfg)
    normalisation = {key: given[key] for key in ('mean', 'std', 'to_rgb') if key in given}
    backbone = {k: v for k, v in model.backbone.items() if k not in ('init_cfg', '_scope_')}
    row = pretrained_models().get(name)
    try:  # DINOv2 accepts 518 px, but is used with the 224 px of the table
        size = row.size if row else image_size(cfg)
    except ValueError:
        size = 224
    size = size if isinstance(size, int) else max(size)
    neck = None if not model.get('neck') else dict(model.neck)
    return Encoder(name, backbone, neck, normalisation, size)


def _timm_encoder(name: str) -> Encoder:
    try:
        import timm
    except ImportError as error:
        raise ValueError(f'{name} is built by timm: pip install timm') from error
    bare = name.removeprefix(TIMM)
    if not timm.is_model(bare):
        raise ValueError(f'timm {timm.__version__} has no model {bare}')
    found = timm.get_pretrained_cfg(bare)
    normalisation = {
        'mean': [255 * value for value in found.mean],
        'std': [255 * value for value in found.std],
        'to_rgb': True,
    }
    state = torch.get_rng_state()
    model = timm.create_model(bare)
    torch.set_rng_state(state)
    if getattr(model, 'output_fmt', 'NCHW') == 'NHWC':
        raise ValueError(
            f'{name} gives maps with the channels last, which no neck here pools: name the same '
            'network of the model index in place of it, see `vit-plugins list`'
        )
    backbone = {'type': 'TIMMBackbone', 'model_name': bare}
    if hasattr(model, 'dynamic_img_size'):  # weights fit as they are, positions are resized
        backbone['dynamic_img_size'] = True
    return Encoder(name, backbone, _token_pooling(model), normalisation, found.input_size[-1])


def _token_pooling(model: nn.Module) -> dict[str, Any] | None:
    """Return the neck that pools tokens as a timm model does itself; None if it has no tokens."""
    mode = {'token': 'cls', 'avg': 'avg'}.get(getattr(model, 'global_pool', None))
    first = getattr(model, 'num_prefix_tokens', None)
    # A norm behind the pooling would come before it in the host's TIMMBackbone.
    norm = getattr(model, 'fc_norm', None)
    if first is None or mode is None or not isinstance(norm, nn.Identity | None):
        return None
    return {'type': 'TokenPooling', 'mode': mode, 'num_extra_tokens': first}


def use_encoder(cfg: Config, encoder: Encoder, size: int) -> Config:
    """Replace the backbone of a recipe, and set matching neck, normalisation, image size and head.

    Some heads need output that another type of backbone does not give, such as the head of the
    localization loss. Such a recipe gets a linear head with the same loss; a log line says so.

    Args:
        cfg: A classification config, changed in place.
        encoder: The new encoder.
        size: The size of the images.

    Returns:
        The same config.

    Raises:
        ValueError: If the images do not fit the backbone, or it gives no vector for each.
    """
    before = cfg.model.backbone
    backbone, neck, width = encoder_config(encoder, size)
    same = type_name(backbone) == type_name(before) and not neck
    if same:
        kept = ('out_type', 'drop_path_rate')
        backbone.update({key: before[key] for key in kept if key in before})
    cfg.model.backbone = backbone
    cfg.model.neck = neck
    _set_head(cfg, width, same)
    preprocessor_of(cfg).update(encoder.normalisation)
    _set_size(cfg, size)
    return cfg


def encoder_config(encoder: Encoder, size: int) -> tuple[ConfigDict, ConfigDict | None, int]:
    """Return the configs of backbone and neck that make one vector of each image, and its length.

    Args:
        encoder: The encoder.
        size: The size of the images.

    Raises:
        ValueError: If the images do not fit the backbone, or it gives no vector for each.
    """
    backbone, neck = ConfigDict(_with_size(encoder, size)), encoder.neck
    try:
        found = _features(backbone, neck, size)
    except AssertionError as error:  # how timm refuses a size, or to leave out its pooling
        raise ValueError(
            f'{encoder.name} cannot be used here with images of {size} px: {error}'
        ) from None
    if found.ndim == 4 and not neck:
        neck = POOLING
        found = _features(backbone, neck, size)
    if found.ndim != 2:
        raise ValueError(
            f'{encoder.name} gives features of shape {tuple(found.shape)} for 2 images, not a '
            'vector for each: name a classifier, see configs/pretrained_models.yml'
        )
    return backbone, None if neck is None else ConfigDict(neck), found.shape[1]


def _with_size(encoder: Encoder, size: int) -> dict[str, Any]:
    backbone = dict(encoder.backbone)
    patch = backbone.get('patch_size')
    if isinstance(patch, int) and size % patch:
        near = max(round(size / patch), 1) * patch
        raise ValueError(
            f'{encoder.name} cuts images into patches of {patch} pixels, so --img-size {size} '
            f'must be a multiple of {patch}, {near} for one'
        )
    cls = MODELS.get(backbone['type']) if isinstance(backbone['type'], str) else backbone['type']
    if 'img_size' in inspect.signature(cls).parameters:
        pair = isinstance(backbone.get('img_size'), list | tuple)
        backbone['img_size'] = (size, size) if pair else size
    return backbone


@torch.no_grad()
def _features(backbone: dict, neck: dict | None, size: int) -> Tensor:
    """Return the output of a random network for two black images."""
    state = torch.get_rng_state()
    with without_information(), DefaultScope.overwrite_default_scope('mmpretrain'):
        parts: list[BaseModule] = [MODELS.build(part) for part in (backbone, neck) if part]
    torch.set_rng_state(state)
    found: Any = torch.zeros(2, 3, size, size)
    for part in parts:
        part.eval()
        found = part(found)
    while not isinstance(found, Tensor):
        found = found[-1]
    return found


def _set_head(cfg: Config, width: int, same: bool) -> None:
    head = cfg.model.head
    if type_name(head) != 'LinearClsHead' and not same:
        inner = next(node for node in walk(head) if 'num_classes' in node)
        print_log(
            f'{type_name(head)} is for another kind of backbone, so its loss is left out: the '
            f'head is a LinearClsHead of {width} features'
        )
        loss = {'loss': inner['loss']} if 'loss' in inner else {}
        cfg.model.head = ConfigDict(
            type='LinearClsHead', num_classes=inner['num_classes'], in_channels=width, **loss
        )
        return
    for node in walk(head):
        if 'in_channels' in node:
            node['in_channels'] = width


def _set_size(cfg: Config, size: int) -> None:
    """Scale the sizes to which the pipelines resize and crop, so that margins keep their share."""
    before = image_size(cfg)
    before = before if isinstance(before, int) else max(before)
    nodes = {id(node): node for pipeline in walk_pipelines(cfg) for node in pipeline}  # each once
    for node in nodes.values():
        for key in ('scale', 'crop_size'):
            if isinstance(node.get(key), int):
                node[key] = round(node[key] * size / before)
    if 'size' in cfg:
        cfg.size = size

"""Start from trained weights: a loaded backbone, a new classifier, slower early layers."""

from __future__ import annotations

import inspect
import pickle
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from mmengine.config import Config, ConfigDict
from mmengine.dist import is_main_process
from mmengine.logging import print_log
from mmengine.model import BaseModule
from mmengine.registry import OPTIMIZERS, DefaultScope
from mmengine.runner import CheckpointLoader
from mmpretrain.registry import MODELS
from torch import Tensor

from ..evaluation.functional.finite import non_finite_weights
from ..weights.fitted import CONSTANT, Fitted, find_weights
from ..weights.index import resolve_weights
from .frozen import is_frozen
from .recipe_weights import ENOUGH, pretrained_parts
from .walking import type_name, walk

LAYER_DECAY = 'LearningRateDecayOptimWrapperConstructor'
# Modules after or beside a backbone in official files, which are not needed.
BEHIND = re.compile(
    r'(?:head|fc|classifier|pre_logits|decoder|mask_token|aux|last_layer|predictor)[^.]*(?:\..*)?'
)


def apply_pretrained(cfg: Config, weights: str, *, layer_decay: float | None = 0.75) -> Config:
    """Set the backbone of a trained model as the start of a training.

    The backbone gets ``init_cfg=dict(type='Pretrained')``, after a check that at least 90 % of it
    is in the file. The backbone itself resizes a position embedding of another size. Weights that
    the recipe names are dropped. Everything after the backbone (neck, head, localization MLP)
    starts with random weights. The learning rate of a layer is multiplied by ``layer_decay`` for
    each layer between it and the head, through the host's
    ``LearningRateDecayOptimWrapperConstructor``, if the backbone knows the depth of its layers.

    Args:
        cfg: A classification config, changed in place.
        weights: A file (official, timm ``.pth`` or ``.safetensors``, Google's ``.npz``,
            OpenMMLab), an address, or a name of the model index. The weights of ViT, DeiT, Swin,
            ResNet and of the backbones of this package are renamed to the backbone's names, also
            if they are inside a wrapper.
        layer_decay: The factor, within (0, 1], unless the config has its own
            ``layer_decay_rate``; None does not change the config's learning rates.

    Returns:
        The same config.

    Raises:
        ValueError: If the file cannot be read, holds too little of the backbone, a shape differs,
            or the factor is out of range.
    """
    if layer_decay is not None and not 0 < layer_decay <= 1:
        raise ValueError(f'layer_decay must lie within (0, 1], got {layer_decay}')
    if 'backbone' not in cfg.model:
        raise ValueError(
            f'{type_name(cfg.model)} has no backbone in its config to load weights into: use a '
            'model with backbone=dict(...), such as ImageClassifier'
        )
    weights = resolve_weights(weights)
    if '://' not in weights:
        weights = str(Path(weights).absolute())
    dropped = list(_drop_other_weights(cfg))
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        backbone = MODELS.build({k: v for k, v in cfg.model.backbone.items() if k != 'init_cfg'})
    fitted, notes = try_weights(backbone, weights)
    address = fitted.address(weights)
    cfg.model.backbone.init_cfg = ConfigDict(type='Pretrained', checkpoint=address)
    notes += dropped
    notes.append(_set_layer_decay(cfg, backbone, layer_decay))
    if is_main_process():
        for note in notes:
            print_log(note)
    return cfg


def _drop_other_weights(cfg: Config) -> Iterator[str]:
    """Remove weights that would replace the chosen ones, wherever the config names them."""
    for node in walk(cfg.model):
        given = node.get('init_cfg')
        several = isinstance(given, list | tuple)
        kept = []
        for one in given if several else [given]:
            if pretrained_parts(one):
                yield f'init_cfg of the config ({one.get("checkpoint")}) is dropped'
            else:
                kept.append(one)
        if len(kept) < (len(given) if several else 1):
            node['init_cfg'] = kept or None
    for node in (cfg.model, cfg.model.backbone):
        if node.get('pretrained'):
            yield f'pretrained={node.pretrained!r} of the config is dropped'
            if isinstance(node.pretrained, bool):  # a setting of TIMMBackbone
                node.pretrained = False
            else:
                del node['pretrained']
    if cfg.get('load_from'):
        yield f'load_from={cfg.load_from} is dropped: it would replace these weights'
        cfg.load_from = None


def try_weights(backbone: BaseModule, weights: str) -> tuple[Fitted, list[str]]:
    """Load a checkpoint into a backbone and check that it fits.

    Args:
        backbone: The backbone; it is changed.
        weights: A file or an address.

    Returns:
        The place of the backbone in the file, and notes for the user.

    Raises:
        ValueError: If the file cannot be read, too little fits, or a shape differs.
    """
    name = type(backbone).__name__
    try:
        checkpoint = CheckpointLoader.load_checkpoint(weights, map_location='cpu')
    except (OSError, RuntimeError, ImportError, pickle.UnpicklingError) as error:
        raise ValueError(str(error)) from error
    if not isinstance(checkpoint, Mapping):
        raise ValueError(f'{weights} holds a {type(checkpoint).__name__}, not weights by name')
    try:
        fitted = find_weights(backbone, checkpoint)
        inside = fitted.take(checkpoint)
        left_over = _left_over(backbone, inside)
        missing = backbone.load_state_dict(inside, strict=False).missing_keys
    except (AssertionError, KeyError, RuntimeError, ValueError) as error:
        told = [line.strip() for line in str(error).splitlines()]
        raise ValueError(
            f'{weights} does not fit this {name}: is it of another size (arch, patch_size)? '
            + _some(told[1:] or told, 3)
        ) from error
    missing = sorted(key for key in missing if not CONSTANT.fullmatch(key))
    wanted = {key for key in backbone.state_dict() if not CONSTANT.fullmatch(key)}
    found = len(wanted) - len(missing)
    used = found / max(found + len(left_over), 1)
    if min(found / len(wanted), used) < ENOUGH:
        raise ValueError(
            f'{found} of the {len(wanted)} tensors of {name} are in {weights}, and '
            f'{len(left_over)} others of the file have no place there; at least {ENOUGH:.0%} must '
            f'fit both ways. Missing: {_some(missing) or "none"}. Left over: '
            f'{_some(left_over) or "none"}. Take weights of the same kind and size of model, or '
            'set type and arch of the backbone to those of the weights'
        )
    if broken := non_finite_weights(inside):
        raise ValueError(
            f'{weights} holds weights that are not finite ({_some(broken, 3)}), of a training '
            'that diverged or a damaged conversion: take another file'
        )
    place = f', under {fitted.prefix.rstrip(".")!r}' if fitted.prefix else ''
    notes = [f'{found} of {len(wanted)} tensors of {name} from {weights}{place}']
    if missing:
        notes.append(f'not in the file, so random at the start: {_some(missing)}')
    if left_over:
        notes.append(f'in the file, without a place in {name}: {_some(left_over)}')
    if fitted.tokens is not None:
        notes.append(
            f'the position embedding has {fitted.tokens[0]} positions before those of the patches '
            f'in the file and {fitted.tokens[1]} in {name}: the first stay, new ones are 0'
        )
    return fitted, notes


def _left_over(backbone: BaseModule, inside: Mapping[str, Tensor]) -> list[str]:
    wanted = backbone.state_dict().keys()
    return sorted(
        key
        for key in inside
        if key not in wanted and not CONSTANT.fullmatch(key) and not BEHIND.fullmatch(key)
    )


def _set_layer_decay(cfg: Config, backbone: BaseModule, layer_decay: float | None) -> str:
    if is_frozen(cfg):
        return 'the backbone stays as it is'
    if layer_decay is None:
        return 'all layers learn at the rate of the config'
    if reason := _no_depths(cfg, backbone) or _complete_optimizer(cfg):
        return f'{reason}: all layers learn at the rate of the config'
    wrapper = cfg.optim_wrapper
    told = ''
    if wrapper.get('constructor') not in (None, 'DefaultOptimWrapperConstructor', LAYER_DECAY):
        told = f'; it replaces constructor={wrapper.constructor!r}'
    wrapper.constructor = LAYER_DECAY
    paramwise = wrapper.get('paramwise_cfg') or ConfigDict()
    wrapper.paramwise_cfg = ConfigDict({'layer_decay_rate': layer_decay, **paramwise})
    multiplied = [k for k, v in paramwise.get('custom_keys', {}).items() if 'lr_mult' in v]
    if multiplied:
        told += f'; lr_mult of {_some(multiplied)} has no effect beside it'
    rate = wrapper.paramwise_cfg.layer_decay_rate
    return f'the learning rate shrinks by {rate} from layer to layer{told}'


def _no_depths(cfg: Config, backbone: BaseModule) -> str | None:
    """Return why the depths of the layers are unknown, None if they are known."""
    name = type(backbone).__name__
    model = MODELS.get(cfg.model.type) if isinstance(cfg.model.type, str) else cfg.model.type
    for cls in (type(backbone), model):
        if not hasattr(cls, 'get_layer_depth'):
            return f'{cls.__name__} does not know the depth of its layers (no get_layer_depth)'
    try:
        for key, _ in backbone.named_parameters():
            backbone.get_layer_depth(f'backbone.{key}', 'backbone.')
    except (NotImplementedError, LookupError, ValueError, TypeError):
        depth = getattr(backbone, 'depth', None)
        size = '' if depth is None else f' of depth {depth}'
        return f"the host's layer decay does not know the layers of {name}{size}"
    return None


def _complete_optimizer(cfg: Config) -> str | None:
    """Set explicitly the optimizer's defaults that the layer decay multiplies.

    Returns:
        The reason if this is not possible, else None.
    """
    optimizer = (cfg.get('optim_wrapper') or {}).get('optimizer')
    if not optimizer:
        return 'the config has no single optimizer in optim_wrapper'
    kind = optimizer.type
    cls = OPTIMIZERS.get(kind) if isinstance(kind, str) else kind
    known = inspect.signature(cls).parameters if cls is not None else {}
    for setting in ('lr', 'weight_decay'):
        if optimizer.get(setting) is None:
            default = getattr(known.get(setting), 'default', None)
            if not isinstance(default, int | float):
                return f'{type_name(optimizer)} has no {setting}'
            optimizer[setting] = default
    return None


def _some(names: Iterable[str], most: int = 5) -> str:
    names = list(names)
    more = f' and {len(names) - most} more' if len(names) > most else ''
    return ', '.join(names[:most]) + more

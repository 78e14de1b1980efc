"""Start from trained weights: backbone loaded, classifier new, early layers learning slower."""

from __future__ import annotations

from pathlib import Path

from mmengine.config import Config, ConfigDict
from mmengine.dist import is_main_process
from mmengine.logging import print_log
from mmengine.model import BaseModule
from mmengine.registry import DefaultScope
from mmengine.runner import CheckpointLoader
from mmpretrain.registry import MODELS

from ..published_weights import resolve_weights

PREFIXES = ('backbone.', 'module.backbone.', 'model.backbone.')


def apply_pretrained(cfg: Config, weights: str, *, layer_decay: float | None = 0.75) -> Config:
    """Make a config start from the backbone of a trained model.

    The backbone gets ``init_cfg=dict(type='Pretrained')``, after a trial that all fits; a
    position embedding of another size is resized by the backbone itself. Everything behind it
    (neck, head, localization MLP) keeps its random start. The learning rate of a layer shrinks by
    ``layer_decay`` with each layer between it and the head, through the host's
    ``LearningRateDecayOptimWrapperConstructor``, if the backbone knows the depth of its layers.

    Args:
        cfg: A classification config, changed in place.
        weights: A file (official, timm ``.pth`` or ``.safetensors``, OpenMMLab), an address, or a
            name of the model index.
        layer_decay: The factor, within (0, 1]; None leaves the config's learning rates alone.

    Returns:
        The same config.

    Raises:
        ValueError: If no weight belongs to the backbone, a shape differs, or the factor is out
            of range.
    """
    if layer_decay is not None and not 0 < layer_decay <= 1:
        raise ValueError(f'layer_decay must lie within (0, 1], got {layer_decay}')
    weights = resolve_weights(weights)
    if '://' not in weights:
        weights = str(Path(weights).absolute())
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        backbone = MODELS.build({k: v for k, v in cfg.model.backbone.items() if k != 'init_cfg'})
    prefix, notes = try_weights(backbone, weights)
    init_cfg = ConfigDict(type='Pretrained', checkpoint=weights)
    if prefix:
        init_cfg.prefix = prefix
    cfg.model.backbone.init_cfg = init_cfg
    cfg.model.pop('pretrained', None)
    if cfg.get('load_from'):
        notes.append(f'load_from={cfg.load_from} is dropped: it would replace these weights')
        cfg.load_from = None
    notes.append(_set_layer_decay(cfg, backbone, layer_decay))
    if is_main_process():
        for note in notes:
            print_log(note)
    return cfg


def try_weights(backbone: BaseModule, weights: str) -> tuple[str, list[str]]:
    """Load a checkpoint into a backbone and see what fits.

    Args:
        backbone: The backbone; it is changed.
        weights: A file or an address.

    Returns:
        The prefix of the backbone's names in the file, and what to tell the user.

    Raises:
        ValueError: If nothing fits or a shape differs.
    """
    checkpoint = CheckpointLoader.load_checkpoint(weights, map_location='cpu')
    state = checkpoint.get('state_dict', checkpoint)
    prefix = next((p for p in PREFIXES if any(key.startswith(p) for key in state)), '')
    inside = {key[len(prefix) :]: value for key, value in state.items() if key.startswith(prefix)}
    wanted = set(backbone.state_dict())
    name = type(backbone).__name__
    try:
        missing = backbone.load_state_dict(inside, strict=False).missing_keys
    except RuntimeError as error:
        lines = [line.strip() for line in str(error).splitlines()[1:]]
        raise ValueError(
            f'{weights} does not fit this {name}: is it of another size (arch, patch_size)? '
            + _some(lines, 3)
        ) from error
    if set(missing) >= wanted:
        raise ValueError(
            f'nothing in {weights} belongs to {name}: it holds {_some(inside)}, while {name} has '
            f'{_some(sorted(wanted))}; take weights of the same kind of model'
        )
    notes = [f'{len(wanted) - len(missing)} of {len(wanted)} tensors of {name} from {weights}']
    if missing:
        notes.append(f'not in the file, so random at the start: {_some(sorted(missing))}')
    return prefix, notes


def _set_layer_decay(cfg: Config, backbone: BaseModule, layer_decay: float | None) -> str:
    if layer_decay is None:
        return 'all layers learn at the rate of the config'
    if not hasattr(backbone, 'get_layer_depth'):
        return (
            f'{type(backbone).__name__} does not know the depth of its layers (no '
            'get_layer_depth): all layers learn at the rate of the config'
        )
    wrapper = cfg.optim_wrapper
    wrapper.constructor = 'LearningRateDecayOptimWrapperConstructor'
    paramwise = wrapper.get('paramwise_cfg') or ConfigDict()
    wrapper.paramwise_cfg = ConfigDict({**paramwise, 'layer_decay_rate': layer_decay})
    multiplied = [k for k, v in paramwise.get('custom_keys', {}).items() if 'lr_mult' in v]
    lost = f'; lr_mult of {_some(multiplied)} has no effect beside it' if multiplied else ''
    return f'the learning rate shrinks by {layer_decay} from layer to layer{lost}'


def _some(names: list[str] | dict[str, object], most: int = 5) -> str:
    names = list(names)
    more = f' and {len(names) - most} more' if len(names) > most else ''
    return ', '.join(names[:most]) + more

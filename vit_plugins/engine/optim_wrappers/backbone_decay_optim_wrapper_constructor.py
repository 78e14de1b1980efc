"""Layer-wise learning rates for a backbone inside any model."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from mmpretrain.engine import LearningRateDecayOptimWrapperConstructor
from mmpretrain.registry import OPTIM_WRAPPER_CONSTRUCTORS, OPTIMIZERS
from torch import nn

# what paramwise_cfg may have
SETTINGS = {
    *('layer_decay_rate', 'custom_keys', 'bypass_duplicate'),
    *('bias_decay_mult', 'norm_decay_mult', 'flat_decay_mult'),
}
# (depth of a parameter, number of depths) by its name
LayerDepth = Callable[[str], tuple[int, int]]


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class BackboneDecayOptimWrapperConstructor(LearningRateDecayOptimWrapperConstructor):
    """Multiply learning rates by ``layer_decay_rate`` for each layer towards the input.

    The host's constructor gets the depth of a parameter from the model, and only a classifier
    knows it. This one gets it from the backbones inside the model: ``model.backbone`` of a
    segmenter or detector, and both backbones of a teacher and a student. Parameters outside a
    backbone keep their learning rate. In a config of MMSegmentation or MMDetection::

        optim_wrapper = dict(
            optimizer=dict(type='AdamW', lr=1e-4, weight_decay=0.05),
            constructor='mmpretrain.BackboneDecayOptimWrapperConstructor',
            paramwise_cfg=dict(layer_decay_rate=0.75, flat_decay_mult=0.0),
        )

    Modules that the heads of a detector share are added once. The settings of
    ``paramwise_cfg`` are those of the host's ``LearningRateDecayOptimWrapperConstructor``. Unlike
    there, ``lr_mult`` in ``custom_keys`` multiplies the rate of its layer, other settings are
    refused, and the optimizer may be configured without ``lr`` or ``weight_decay``; its own
    defaults are used then.

    Args:
        optim_wrapper_cfg: Config of the optimizer wrapper, with ``optimizer``.
        paramwise_cfg: Settings for parameters by name and depth.

    Raises:
        ValueError: If a setting is unknown or out of range; later, if neither the model nor a
            backbone in it has ``get_layer_depth``.
    """

    def __init__(self, optim_wrapper_cfg: dict, paramwise_cfg: dict | None = None) -> None:
        super().__init__(optim_wrapper_cfg, paramwise_cfg)
        if unknown := self.paramwise_cfg.keys() - SETTINGS:
            raise ValueError(
                f'paramwise_cfg has {", ".join(sorted(unknown))}, which layer-wise rates do not '
                f'heed: they know {", ".join(sorted(SETTINGS))}.'
            )
        rate = self.paramwise_cfg.get('layer_decay_rate', 1.0)
        if not 0 < rate <= 1:
            raise ValueError(f'layer_decay_rate must be above 0 and at most 1, got {rate}.')
        if self.base_lr is None:
            self.base_lr = optimizer_default(self.optimizer_cfg['type'], 'lr')
        if self.base_wd is None:
            self.base_wd = optimizer_default(self.optimizer_cfg['type'], 'weight_decay')

    def add_params(
        self,
        params: list[dict],
        module: nn.Module,
        prefix: str = '',
        get_layer_depth: LayerDepth | None = None,
        **kwargs,
    ) -> None:
        """Add one group for each parameter of a module.

        Args:
            params: The groups; edited.
            module: The model, or a part of it.
            prefix: The text before the names of the module's parameters.
            get_layer_depth: Returns the depth of a parameter; None uses the model's function.
            **kwargs: Unused, as in the host's.

        Raises:
            ValueError: If neither the model nor a backbone in it knows the depth of its layers.
        """
        depth = get_layer_depth or layer_depth_of(module)
        super().add_params(params, module, prefix=prefix, get_layer_depth=depth, **kwargs)
        if prefix == '':
            first = {id(group['params'][0]): group for group in reversed(params)}
            params[:] = [group for group in params if first[id(group['params'][0])] is group]
            for group in params:
                multiplier = group.pop('lr_mult', 1.0)
                group['lr'] *= multiplier
                group['lr_scale'] *= multiplier


def optimizer_default(optimizer: str | type, argument: str) -> Any:
    """Return the value that an optimizer gives an argument by itself.

    Args:
        optimizer: Its class, or the name of it in the registry.
        argument: Name of the argument.

    Raises:
        ValueError: If the optimizer has no default for it.

    >>> optimizer_default('AdamW', 'weight_decay')
    0.01
    """
    cls = OPTIMIZERS.get(optimizer) if isinstance(optimizer, str) else optimizer
    found = inspect.signature(cls).parameters.get(argument)
    if found is None or found.default is found.empty:
        raise ValueError(
            f'The optimizer {cls.__name__} has no default of {argument}: set {argument} in '
            'optim_wrapper.optimizer.'
        )
    return found.default


def layer_depth_of(model: nn.Module) -> LayerDepth:
    """Return the function that gives the depth of each parameter of a model.

    Args:
        model: A model with ``get_layer_depth``, or with modules called ``backbone`` that have it.

    Raises:
        ValueError: If there is none.
    """
    if hasattr(model, 'get_layer_depth'):
        return model.get_layer_depth
    backbones = {
        f'{name}.': part
        for name, part in model.named_modules()
        if name.split('.')[-1] == 'backbone' and _knows_depths(part)
    }
    if not backbones:
        part = getattr(model, 'backbone', None)
        found = 'no backbone' if part is None else f'the backbone {type(part).__name__}'
        raise ValueError(
            f'Layer-wise learning rates need a backbone with get_layer_depth, as the transformers '
            f'of vit_plugins and of MMPretrain have it: {type(model).__name__} has {found}. Name '
            'one of them, or leave out constructor and layer_decay_rate.'
        )

    def depth(name: str) -> tuple[int, int]:
        for prefix, part in backbones.items():
            if name.startswith(prefix):
                return part.get_layer_depth(name, prefix)
        _, number = next(iter(backbones.values())).get_layer_depth('', 'backbone.')
        return number - 1, number

    return depth


def _knows_depths(backbone: nn.Module) -> bool:
    try:  # the host's ResNet knows the depth for some sizes only
        backbone.get_layer_depth('backbone.conv1.weight', 'backbone.')
    except (AttributeError, NotImplementedError):
        return False
    return True

"""Compare the settings of a config with the arguments of their components."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable, Collection, Iterator, Mapping
from difflib import get_close_matches
from functools import cache
from typing import Any

import mmengine.registry
import mmpretrain.registry
import torch
from mmengine.hooks import CheckpointHook, EMAHook
from mmengine.model import (
    ExponentialMovingAverage,
    MomentumAnnealingEMA,
    StochasticWeightAverage,
)
from mmengine.optim import OptimWrapper
from mmengine.registry import Registry
from mmengine.runner import (
    EpochBasedTrainLoop,
    IterBasedTrainLoop,
    LogProcessor,
    Runner,
    TestLoop,
    ValLoop,
)
from mmpretrain.engine.hooks import VisualizationHook
from mmpretrain.models.utils.batch_augments import RandomBatchAugment
from mmpretrain.visualization import UniversalVisualizer
from torch.utils.data import DataLoader

from ..models.heads.drloc_head import DRLocHead
from ..models.losses.drloc_loss import DRLocLoss
from .walking import walk_named

NEAR = 0.8  # names at least this similar count as misspellings of each other


def accepted(component: Callable) -> set[str] | None:
    """Return the names of the arguments of a function or class, None if it takes any name.

    If a class passes ``**kwargs`` on to the constructor of its base, the names are looked up
    there; if it passes them to anything else, it takes any name.

    Args:
        component: The function or class.
    """
    if not isinstance(component, type):
        return _arguments([component])
    return _arguments([c.__init__ for c in component.__mro__ if '__init__' in vars(c)])


def _arguments(functions: list[Callable]) -> set[str] | None:
    names: set[str] = set()
    for function in functions:
        if function is object.__init__:  # a class without arguments, or the end of **kwargs
            return set() if len(functions) == 1 else None
        try:
            parameters = inspect.signature(function).parameters.values()
        except (TypeError, ValueError):  # written in C
            return None
        names |= {p.name for p in parameters if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)}
        if function in PASSED_ON:
            names = names.union(*map(accepted, PASSED_ON[function]))
        elif rest := [p.name for p in parameters if p.kind is p.VAR_KEYWORD]:
            named = _named_on_the_way(function, rest[0])
            if named is None:
                return None
            names |= named
            continue
        return names - {'self'}
    return None


@cache
def _named_on_the_way(constructor: Callable, rest: str) -> frozenset[str] | None:
    """Return the names that a constructor reads from its ``**rest`` before its base gets them.

    Return None if the base does not get them, or something else gets them as well.
    """
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(constructor)))
    except (OSError, TypeError, SyntaxError):  # there is no source code
        return None
    takers = [node.func for node in ast.walk(tree) if rest in _handed_to(node)]
    if not takers or any(getattr(taker, 'attr', '') != '__init__' for taker in takers):
        return None
    return frozenset(name for node in ast.walk(tree) for name in _read_from(node, rest))


def _handed_to(node: ast.AST) -> list[str]:
    """Return the variables that a call passes, as arguments or unpacked."""
    if not isinstance(node, ast.Call):
        return []
    values = [*node.args, *(keyword.value for keyword in node.keywords)]
    return [value.id for value in values if isinstance(value, ast.Name)]


def _read_from(node: ast.AST, rest: str) -> list[str]:
    """Return the key of ``rest['key']``, ``'key' in rest`` and ``rest.pop('key')``."""
    match node:
        case (
            ast.Subscript(value=ast.Name(id=name), slice=ast.Constant(value=str(key)))
            | ast.Compare(left=ast.Constant(value=str(key)), comparators=[ast.Name(id=name)])
            | ast.Call(
                func=ast.Attribute(value=ast.Name(id=name), attr='get' | 'pop' | 'setdefault'),
                args=[ast.Constant(value=str(key)), *_],
            )
        ) if name == rest:
            return [key]
    return []


# The components that are called with the further arguments of these.
PASSED_ON: dict[Callable, tuple[Callable, ...]] = {
    CheckpointHook.__init__: (Runner.save_checkpoint,),
    EMAHook.__init__: (ExponentialMovingAverage, MomentumAnnealingEMA, StochasticWeightAverage),
    DRLocHead.__init__: (DRLocLoss,),
    VisualizationHook.__init__: (UniversalVisualizer.visualize_cls,),
}
ALWAYS = {'type', '_scope_', '_delete_'}
# Keys that the host removes before it builds a component of one of its registries.
TAKEN_OUT = {
    'hook': {'priority'},
    'parameter scheduler': {'convert_to_iter_based'},
    'model': {'requires_grad', 'init_cfg', 'pretrained'},
    'transform': {'magnitude_key', 'magnitude_range'},
    'weight initializer': {'override', 'layer'},
    'optimizer_wrapper': {'constructor', 'paramwise_cfg', 'optimizer'},
    'loop': {'by_epoch'},
}
# The keys that a dict without a type may have, by its place in the config.
PLACES: dict[str, set[str]] = {
    'val_cfg': accepted(ValLoop),
    'test_cfg': accepted(TestLoop),
    'optim_wrapper': accepted(OptimWrapper) | TAKEN_OUT['optimizer_wrapper'],
    'log_processor': accepted(LogProcessor),
    'randomness': accepted(Runner.set_randomness),
    'auto_scale_lr': {'base_batch_size', 'enable'},
    'env_cfg': {'cudnn_benchmark', 'mp_cfg', 'dist_cfg', 'resource_limit'},
    'env_cfg.mp_cfg': {'mp_start_method', 'opencv_num_threads'},
    'model.train_cfg': accepted(RandomBatchAugment),
    'optim_wrapper.paramwise_cfg': {
        *('custom_keys', 'bias_lr_mult', 'bias_decay_mult', 'norm_decay_mult', 'flat_decay_mult'),
        *('dwconv_decay_mult', 'dcn_offset_lr_mult', 'bypass_duplicate', 'layer_decay_rate'),
    },
} | {
    f'{split}_dataloader': accepted(DataLoader)
    | {'num_batch_per_epoch', 'disable_subprocess_warning'}
    for split in ('train', 'val', 'test')
}
CLIP = {
    'norm': accepted(torch.nn.utils.clip_grad_norm_),
    'value': accepted(torch.nn.utils.clip_grad_value_),
}
# Keys that the tools read besides the arguments of the runner.
RUNNER_KEYS = (accepted(Runner) - {'cfg'}) | {
    *('custom_imports', 'find_unused_parameters', 'model_wrapper_cfg', 'runner_type'),
    *('tta_model', 'tta_pipeline', 'compile', 'activation_checkpointing'),
    *('efficient_conv_bn_eval', 'sync_bn', 'strategy'),
}
# The names of default hooks that the host itself sets.
HOST_HOOKS = {
    *('runtime_info', 'timer', 'sampler_seed', 'logger', 'param_scheduler', 'checkpoint'),
}
DEFAULT_HOOKS = HOST_HOOKS | {
    *('visualization', 'seeded_draws', 'training_guard', 'grouped_step'),
    *('progress', 'learning_curve'),
}


def nearest(name: str, known: Collection[str]) -> str | None:
    """Return the known name that is most similar to another name, None if there is none.

    Args:
        name: A name that is not known.
        known: The known names.

    >>> nearest('intervall', {'interval', 'by_epoch'})
    'interval'
    """
    found = get_close_matches(name, sorted(known), n=1, cutoff=NEAR)
    return found[0] if found else None


def unknown_settings(cfg: Mapping[str, Any]) -> Iterator[str]:
    """Find settings of a component, loop, loader or hook that are not among its arguments.

    Args:
        cfg: A config; only top-level keys that belong to a runner are searched.

    Yields:
        A text with the place, the name, and either a similar known name or all known names.
    """
    for path, node in walk_named({key: cfg[key] for key in sorted(RUNNER_KEYS & cfg.keys())}):
        known = _known(path, node, cfg)
        for name in () if known is None else node.keys() - known - ALWAYS:
            owner = node.get('type', '')
            owner = getattr(owner, '__name__', owner) or path.rpartition('.')[2]
            yield f'{path}: {owner} has no setting {name!r}{_advice(name, known)}'
    for name in (cfg.get('default_hooks') or {}).keys() - DEFAULT_HOOKS:
        if other := nearest(name, DEFAULT_HOOKS):
            yield f'default_hooks: {name!r} replaces no hook; did you mean {other!r}?'


def _advice(name: str, known: Collection[str]) -> str:
    if other := nearest(name, known):
        return f'; did you mean {other!r}?'
    return f'; it has {", ".join(sorted(known))}' if len(known) <= 30 else ''


def _known(path: str, node: Mapping, cfg: Mapping) -> set[str] | None:
    if path == 'optim_wrapper.clip_grad':
        return CLIP.get(node.get('type', 'norm'))
    if 'type' in node:
        return _known_to_type(node['type'], path)
    if path == 'train_cfg':
        by_epoch = node.get('by_epoch', 'max_epochs' in node)
        loop = EpochBasedTrainLoop if by_epoch else IterBasedTrainLoop
        return accepted(loop) | TAKEN_OUT['loop']
    if path == 'optim_wrapper' and 'optimizer' not in node:
        return None  # several, each under its own name
    if path == 'optim_wrapper.paramwise_cfg' and 'constructor' in cfg['optim_wrapper']:
        return None if not _is_the_hosts(cfg['optim_wrapper']['constructor']) else PLACES[path]
    return PLACES.get(path)


def _is_the_hosts(constructor: Any) -> bool:
    return str(constructor).rpartition('.')[2] in (
        'DefaultOptimWrapperConstructor',
        'LearningRateDecayOptimWrapperConstructor',
    )


def _known_to_type(kind: Any, path: str) -> set[str] | None:
    """Return the arguments of any component of this name, None if they are not known."""
    found = _components(kind) if isinstance(kind, str) else [('', kind)]
    if path.endswith('.dataset'):  # some metrics have the same names
        found = [pair for pair in found if pair[0] in ('', 'dataset')]
    known: set[str] = set()
    for registry, component in found:
        names = accepted(component)
        if names is None:
            return None
        known |= names | TAKEN_OUT.get(registry, set())
    if not isinstance(kind, str):
        known = known.union(*TAKEN_OUT.values())
    return known if found else None


def _components(name: str) -> list[tuple[str, Callable]]:
    found = [(registry.name, _find(registry, name)) for registry in _registries()]
    return [pair for pair in found if pair[1] is not None]


def _find(registry: Registry, name: str) -> Callable | None:
    """Return the component with this name in a registry, None if there is none.

    If a name is missing, the host searches each folder of the Python path for a module to import,
    which takes half a millisecond in each of about twenty registries. A name without dots cannot
    be such a module.
    """
    if '.' in name:
        return registry.get(name)
    registry.import_from_location()
    while registry is not None:
        if name in registry.module_dict:
            return registry.module_dict[name]
        registry = registry.parent
    return None


@cache
def _registries() -> list[Registry]:
    modules = (mmpretrain.registry, mmengine.registry)
    found = [r for module in modules for r in vars(module).values() if isinstance(r, Registry)]
    # a registry of the host also searches its parent
    parents = {id(registry.parent) for registry in found}
    return [registry for registry in found if id(registry) not in parents]

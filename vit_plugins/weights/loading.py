"""Load a whole model, and say what does not fit."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Mapping, Sequence

from mmengine.model import BaseTTAModel, is_model_wrapper
from torch import Tensor, nn

from .fitted import CONSTANT

# Of training alone: testing does without, and training begins with its own.
SPARED = re.compile(r'(?:.*\.)?drloc\..*|(?:.*\.)?memory\..*|momentum_encoder\..*')
SIZE_MISMATCH = re.compile(
    r'size mismatch for ([^:]+): copying a param with shape torch\.Size\((.*)\) from checkpoint, '
    r'the shape in current model is torch\.Size\((.*)\)\.'
)
SHOWN = 5


class CheckpointMismatchError(ValueError):
    """A checkpoint of another model than the one it is loaded into."""


def load_weights(
    model: nn.Module, checkpoint: Mapping, where: str, may_differ: Sequence[str] = ()
) -> None:
    """Load a checkpoint into a model, strictly.

    The localization MLP, what retrieval keeps beside the encoder (memory, momentum encoder)
    and constants that the model computes may be absent, left over or of another shape. Wrappers
    of the model are looked through, and a position embedding of another size is resized by the
    backbone.

    Args:
        model: The model.
        checkpoint: What a file holds: a state dict, or a dict around one.
        where: What messages call the file.
        may_differ: Beginnings of the names of further weights that need not fit.

    Raises:
        CheckpointMismatchError: If anything else differs; it names keys and shapes. The model
            then holds weights of both.
    """
    while is_model_wrapper(model) or isinstance(model, BaseTTAModel):
        model = model.module
    missing, unexpected, told = _load(model, checkpoint.get('state_dict', checkpoint))

    def matters(name: str) -> bool:
        spared = CONSTANT.fullmatch(name) or SPARED.fullmatch(name)
        return not spared and not name.startswith(tuple(may_differ))

    shapes, others = [], []
    for line in told:
        match = SIZE_MISMATCH.fullmatch(line)
        if match is None:
            others.append(line)
        elif matters(match[1]):
            shapes.append(f'{match[1]} {match[2]} in the file, {match[3]} in the model')
    missing, unexpected = filter(matters, missing), filter(matters, unexpected)
    found = [
        *_counted('without weights in the file', missing),
        *_counted('in the file without a place', unexpected),
        *_counted('of another shape', shapes),
        *others,
    ]
    if found:
        raise CheckpointMismatchError(
            f'{where} does not fit this {type(model).__name__}: {"; ".join(found)}'
        )


def _load(model: nn.Module, state: Mapping[str, Tensor]) -> tuple[list[str], list[str], list[str]]:
    """Load what fits; return missing keys, unexpected keys, and what PyTorch says of the rest."""
    if any(key.startswith('module.') for key in state):  # of a distributed run, as the host does
        metadata = getattr(state, '_metadata', None)
        state = OrderedDict((key.removeprefix('module.'), v) for key, v in state.items())
        if metadata is not None:
            state._metadata = metadata
    keys: list[list[str]] = [[], []]

    def note(module: nn.Module, incompatible: tuple[list[str], list[str]]) -> None:
        keys[:] = map(list, incompatible)  # told for each module; the whole model comes last

    handle = model.register_load_state_dict_post_hook(note)
    try:
        model.load_state_dict(state, strict=False)
        told = []
    except (AssertionError, KeyError, NotImplementedError, RuntimeError, ValueError) as error:
        lines = [line.strip() for line in str(error).splitlines()]
        told = [line for line in lines if line and not line.startswith('Error(s) in loading')]
    finally:
        handle.remove()
    return *keys, told


def _counted(what: str, names: Sequence[str]) -> list[str]:
    names = list(names)
    if not names:
        return []
    more = f' and {len(names) - SHOWN} more' if len(names) > SHOWN else ''
    return [f'{len(names)} {what}: {", ".join(names[:SHOWN])}{more}']

"""Load a whole model, and say what does not fit."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from torch import Tensor, nn

from .bare_model import bare_model
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
    model = bare_model(model)
    report = load_report(model, checkpoint.get('state_dict', checkpoint))

    def matters(name: str) -> bool:
        spared = CONSTANT.fullmatch(name) or SPARED.fullmatch(name)
        return not spared and not name.startswith(tuple(may_differ))

    shapes = [
        f'{name} {theirs} in the file, {ours} in the model'
        for name, (theirs, ours) in report.shapes.items()
        if matters(name)
    ]
    found = [
        *_counted('without weights in the file', filter(matters, report.missing)),
        *_counted('in the file without a place', filter(matters, report.unexpected)),
        *_counted('of another shape', shapes),
        *report.others,
    ]
    if found:
        raise CheckpointMismatchError(
            f'{where} does not fit this {type(model).__name__}: {"; ".join(found)}'
        )


@dataclass
class LoadReport:
    """What was not loaded.

    Attributes:
        missing: Names of the model that the file does not have.
        unexpected: Names of the file that the model does not have.
        shapes: Name to shape in the file and shape in the model, where they differ.
        others: What else was wrong, in the words of the module that refused it.
    """

    missing: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    shapes: dict[str, tuple[str, str]] = field(default_factory=dict)
    others: list[str] = field(default_factory=list)


def load_report(model: nn.Module, state: Mapping[str, Tensor]) -> LoadReport:
    """Load what fits and report the rest.

    Args:
        model: The model.
        state: The weights; ``module.`` in front of names is left out.
    """
    if any(key.startswith('module.') for key in state):  # of a distributed run, as the host does
        metadata = getattr(state, '_metadata', None)
        state = OrderedDict((key.removeprefix('module.'), v) for key, v in state.items())
        if metadata is not None:
            state._metadata = metadata
    report = LoadReport()

    def note(module: nn.Module, incompatible: tuple[list[str], list[str]]) -> None:
        # called for each module; the whole model comes last
        report.missing, report.unexpected = map(list, incompatible)

    handle = model.register_load_state_dict_post_hook(note)
    try:
        model.load_state_dict(state, strict=False)
    except (AssertionError, KeyError, NotImplementedError, RuntimeError, ValueError) as error:
        for line in map(str.strip, str(error).splitlines()):
            if match := SIZE_MISMATCH.fullmatch(line):
                report.shapes[match[1]] = (match[2], match[3])
            elif line and not line.startswith('Error(s) in loading'):
                report.others.append(line)
    finally:
        handle.remove()
    return report


def _counted(what: str, names: Iterable[str]) -> list[str]:
    names = list(names)
    if not names:
        return []
    more = f' and {len(names) - SHOWN} more' if len(names) > SHOWN else ''
    return [f'{len(names)} {what}: {", ".join(names[:SHOWN])}{more}']

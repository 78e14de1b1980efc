"""Load a whole model, and report what does not fit."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from torch import Tensor, nn

from ..fileio.printable_text import listed
from .bare_model import bare_model, model_to_load, plain_name
from .fitted import CONSTANT

# Only used in training: a test does not need them, and a training starts with its own.
SPARED = re.compile(r'(?:.*\.)?drloc\..*|(?:.*\.)?memory\..*|momentum_encoder\..*')
SIZE_MISMATCH = re.compile(
    r'size mismatch for ([^:]+): copying a param with shape torch\.Size\((.*)\) from checkpoint, '
    r'the shape in current model is torch\.Size\((.*)\)\.'
)
SHOWN = 5


class CheckpointMismatchError(ValueError):
    """A checkpoint does not belong to the model that it is loaded into."""


def load_weights(
    model: nn.Module, checkpoint: Mapping, where: str, may_differ: Sequence[str] = ()
) -> None:
    """Load a checkpoint into a model, strictly.

    Some weights may be absent, superfluous or of another shape: the localization MLP, the memory
    and momentum encoder of retrieval, and constants that the model computes. Wrappers of the
    model are ignored, and the backbone resizes a position embedding of another size.

    Args:
        model: The model.
        checkpoint: The content of a file: a state dict, or a dict around one.
        where: The name of the file in messages.
        may_differ: Beginnings of the names of further weights that need not fit.

    Raises:
        CheckpointMismatchError: If anything else differs; the message names keys and shapes. The
            model then holds a mixture of both weights.
    """
    report = load_report(model_to_load(model), checkpoint.get('state_dict', checkpoint))

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
            f'{where} does not fit this {type(bare_model(model)).__name__}: {"; ".join(found)}'
        )


@dataclass
class LoadReport:
    """The weights that were not loaded.

    Attributes:
        missing: Names of the model that the file does not have.
        unexpected: Names of the file that the model does not have.
        shapes: Name to shape in the file and shape in the model, where they differ.
        others: Other errors, in the words of the module that raised them.
    """

    missing: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    shapes: dict[str, tuple[str, str]] = field(default_factory=dict)
    others: list[str] = field(default_factory=list)


def load_report(model: nn.Module, state: Mapping[str, Tensor]) -> LoadReport:
    """Load what fits and report the rest.

    Args:
        model: The model.
        state: The weights; ``module.`` before names is removed.
    """
    if any(key.startswith('module.') for key in state):  # distributed; the host does so, too
        metadata = getattr(state, '_metadata', None)
        state = OrderedDict((key.removeprefix('module.'), v) for key, v in state.items())
        if metadata is not None:
            state._metadata = metadata
    report = LoadReport()

    def note(module: nn.Module, incompatible: tuple[list[str], list[str]]) -> None:
        # called for each module; the whole model comes last
        report.missing, report.unexpected = (list(map(plain_name, keys)) for keys in incompatible)

    handle = model.register_load_state_dict_post_hook(note)
    try:
        model.load_state_dict(state, strict=False)
    except (AssertionError, KeyError, NotImplementedError, RuntimeError, ValueError) as error:
        for line in map(str.strip, str(error).splitlines()):
            if match := SIZE_MISMATCH.fullmatch(line):
                report.shapes[plain_name(match[1])] = (match[2], match[3])
            elif line and not line.startswith('Error(s) in loading'):
                report.others.append(line)
    finally:
        handle.remove()
    return report


def _counted(what: str, names: Iterable[str]) -> list[str]:
    names = list(names)
    if not names:
        return []
    return [f'{len(names)} {what}: {listed(names, SHOWN)}']

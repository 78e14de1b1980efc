"""Carry tokens from inside a backbone to the head, along with the backbone's own outputs."""

from collections.abc import Sequence
from difflib import get_close_matches
from functools import partial
from typing import Any, NamedTuple

from torch import Tensor, nn


class Captured(NamedTuple):
    """Output of one module, with the token grid (h, w) if the module receives or returns it."""

    tokens: Tensor
    grid_size: tuple[int, int] | None


def tokens_of(
    feats: Sequence[Any], sources: Sequence[str], indices: Sequence[int]
) -> list[Captured]:
    """Return the tokens of each level from the outputs of a backbone.

    Args:
        feats: Its outputs.
        sources: Names of modules whose output :func:`capture_tokens` put beside them.
        indices: The outputs to take if there is no source.

    Raises:
        RuntimeError: If nothing was captured.
    """
    if not sources:
        return [Captured(feats[index], None) for index in indices]
    captured = getattr(feats, 'sources', None)
    if captured is None:
        raise RuntimeError(
            f'source={sources} is set, but the backbone handed nothing over: add '
            "custom_hooks=[dict(type='DRLocSourceHook')] to the config (outside a runner: "
            'model.head.attach(model)), and keep the neck inside DRLocHead'
        )
    return captured


class FeatsWithSources(tuple):
    """The backbone's output tuple, with a :class:`Captured` per source in ``sources``.

    The captured tokens exist exactly as long as the outputs of their forward pass. Nothing is
    stored in the model, so a second forward pass, a deep copy of the model or a recomputation in
    the backward pass cannot mix them up.
    """

    sources: list[Captured]


def capture_tokens(model: nn.Module, names: Sequence[str]) -> None:
    """Make ``model.backbone`` return its tuple as :class:`FeatsWithSources`.

    Args:
        model: A model with a ``backbone``.
        names: Dotted names, from the model, of modules inside the backbone.

    Raises:
        ValueError: If a name does not belong to a module inside the backbone.
    """
    capture = _Capture(names)
    known = dict(model.named_modules())
    for name in names:
        if name not in known or not name.startswith('backbone.'):
            close = get_close_matches(name, [n for n in known if n.startswith('backbone.')])
            raise ValueError(
                f'source {name!r} is no module inside the backbone of '
                f'{type(model).__name__}; close names: {close}'
            )
        known[name].register_forward_hook(partial(capture.keep, name))
    model.backbone.register_forward_pre_hook(capture.start)
    model.backbone.register_forward_hook(capture.finish)


class _Capture:
    """The forward hooks of one model; empty between two forward passes."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = list(names)
        self.active = False
        self.found = {}

    def start(self, module: nn.Module, args: tuple) -> None:
        self.active, self.found = True, {}

    def keep(self, name: str, module: nn.Module, args: tuple, output: Any) -> None:
        # Not active during the backward pass, in which checkpointing runs modules again.
        if self.active:
            self.found[name] = _read(name, args, output)

    def finish(self, module: nn.Module, args: tuple, output: Any) -> FeatsWithSources:
        self.active, found, self.found = False, self.found, {}
        if not isinstance(output, tuple):
            raise TypeError(
                f'{type(module).__name__} returns a {type(output).__name__}; DRLocHead can '
                'only take sources from a backbone that returns a tuple'
            )
        missing = [name for name in self.names if name not in found]
        if missing:
            raise RuntimeError(f'source {missing} did not run in this forward pass')
        feats = FeatsWithSources(output)
        feats.sources = [found[name] for name in self.names]
        return feats


def _read(name: str, args: tuple, output: Any) -> Captured:
    """Find the tokens, and the (h, w) that hierarchical blocks pass along with them."""
    outputs = output if isinstance(output, (tuple, list)) else (output,)
    tokens = next((x for x in outputs if isinstance(x, Tensor)), None)
    if tokens is None:
        raise TypeError(f'source {name!r} returns no tensor but {type(output).__name__}')
    # A block that downsamples returns the new size; one that keeps it only receives it.
    sizes = [tuple(x) for x in (*outputs, *args) if _is_size(x)]
    return Captured(tokens, sizes[0] if sizes else None)


def _is_size(value: Any) -> bool:
    return (
        isinstance(value, (tuple, list))
        and len(value) == 2
        and all(isinstance(side, int) for side in value)
    )

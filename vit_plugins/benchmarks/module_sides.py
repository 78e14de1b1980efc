"""Compare torch modules: inference, or forward and backward pass."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from .comparison import Comparison, Side
from .setting import Setting

MODES = ('forward', 'forward+backward')
# Relative to the norm of the outputs: bfloat16 has eight bits, float16 eleven; twelve layers.
TOLERANCES = {'fp32': 1e-4, 'bf16': 5e-2, 'fp16': 1e-2}


def compare_modules(
    name: str,
    modules: dict[str, nn.Module],
    forwards: dict[str, Callable[[nn.Module], Tensor]],
    setting: Setting,
    mode: str,
    images: int,
    limits: dict[str, str] | None = None,
    missing: dict[str, str] | None = None,
) -> Comparison:
    """Return the comparison of modules in one mode.

    Args:
        name: Name of the case.
        modules: Name of each side to its module, on the device; the first is ours.
        forwards: Name of each side to a function that calls its module and returns a tensor.
        setting: Precision and compilation.
        mode: 'forward', without gradients, or 'forward+backward' of the sum of squares.
        images: Number of images in a call.
        limits: Name of each side that computes something else to its description.
        missing: As in :class:`Comparison`.
    """
    limits = limits or {}
    training = mode == 'forward+backward'
    sides, keeps = {}, {}
    backend = 'aot_eager' if setting.size == 'toy' else 'inductor'
    for key, module in modules.items():
        module.train(training)
        ready = torch.compile(module, backend=backend) if setting.compiled else module
        forward = _forward(ready, forwards[key], setting, training)
        step = _step(module, forward) if training else forward
        outputs = None if key in limits else _outputs(module, step, training)
        sides[key] = Side(step, outputs, module, limits.get(key, ''))
        if training and not setting.compiled:
            keeps[key] = forward
    tolerance = TOLERANCES[setting.dtype]
    return Comparison(name, sides, tolerance, keeps, images, missing or {})


def _forward(
    module: nn.Module, call: Callable[[nn.Module], Tensor], setting: Setting, training: bool
) -> Callable[[], Tensor]:
    def forward() -> Tensor:
        with torch.set_grad_enabled(training), setting.autocast():
            return call(module)

    return forward


def _step(module: nn.Module, forward: Callable[[], Tensor]) -> Callable[[], Tensor]:
    def step() -> Tensor:
        module.zero_grad(set_to_none=True)
        out = forward()
        out.float().square().mean().backward()
        return out

    return step


def _outputs(
    module: nn.Module, step: Callable[[], Tensor], training: bool
) -> Callable[[], Sequence[Tensor]]:
    """Return the output and, for a training step, the norm of all gradients."""

    def outputs() -> list[Tensor]:
        out = step()
        if not training:
            return [out]
        gradients = [p.grad for p in module.parameters() if p.grad is not None]
        return [out, torch.stack([g.float().norm() for g in gradients]).norm()]

    return outputs

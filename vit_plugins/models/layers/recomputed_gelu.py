"""Keep one wide tensor of each feed-forward network for the backward pass, where torch keeps two.

The network is fc2(GELU(fc1(x))). Torch keeps the input of the GELU for its own gradient and the
output for that of fc2. The output costs little to compute again, and is as large as the input.
"""

from __future__ import annotations

from typing import Any

import torch
from mmcv.cnn.bricks.transformer import FFN
from torch import Tensor, nn
from torch.nn import functional as F

from .plain_linear import is_plain_linear

# older versions of torch do not say whether they compile
_is_compiling = getattr(torch.compiler, 'is_compiling', lambda: False)


class GELULinear(torch.autograd.Function):
    """Linear layer on GELU(h), which keeps h alone: ``apply(h, weight, bias, approximate)``."""

    generate_vmap_rule = True

    @staticmethod
    def forward(h: Tensor, weight: Tensor, bias: Tensor | None, approximate: str) -> Tensor:
        """Return the output of the layer, shape (..., D), for h of shape (..., 4 D)."""
        return F.linear(F.gelu(h, approximate=approximate), weight, bias)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: Tensor) -> None:
        """Keep what the backward pass needs."""
        h, weight, bias, ctx.approximate = inputs
        ctx.bias_dtype = None if bias is None else bias.dtype
        ctx.save_for_backward(h, weight)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of h, weight and bias; autocast gives ``grad`` the dtype of h."""
        h, weight = ctx.saved_tensors
        of_h = of_weight = of_bias = None
        rows = grad.flatten(0, -2)  # (..., D) -> (n, D)
        if ctx.needs_input_grad[0]:
            of_gelu = grad @ weight.to(grad.dtype)
            of_h = torch.ops.aten.gelu_backward(of_gelu, h, approximate=ctx.approximate)
        if ctx.needs_input_grad[1]:
            wide = F.gelu(h, approximate=ctx.approximate).flatten(0, -2)  # (..., 4 D) -> (n, 4 D)
            of_weight = (rows.T @ wide.to(grad.dtype)).to(weight.dtype)
        if ctx.needs_input_grad[2]:
            of_bias = rows.sum(0).to(ctx.bias_dtype)
        return of_h, of_weight, of_bias, None


class RecomputedGELU(nn.Sequential):
    """The layers of the host's FFN, (fc1, GELU, dropout), fc2, dropout, with the same names.

    Where something else than their own computation is asked for, by dropout, hooks, LoRA or int8
    layers, or where a compiler decides what is kept, they are called one after the other.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens (..., D) to (..., D)."""
        (fc1, act, inner_drop), fc2, drop = self
        h = fc1(x)
        if h.requires_grad and _may_recompute(act, inner_drop, fc2):
            return drop(GELULinear.apply(h, fc2.weight, fc2.bias, act.approximate))
        return drop(fc2(inner_drop(act(h))))


def _may_recompute(act: nn.Module, drop: nn.Dropout, fc2: nn.Module) -> bool:
    if _is_compiling() or torch.jit.is_tracing() or not is_plain_linear(fc2):
        return False
    hooked = act._forward_hooks or drop._forward_hooks
    return type(act) is nn.GELU and not hooked and not (drop.training and drop.p > 0)


def recompute_gelus(model: nn.Module) -> None:
    """Make each FFN of the host in a model keep one wide tensor in place of two.

    Args:
        model: Changed in place; names and values of weights stay.
    """
    for module in model.modules():
        if type(module) is FFN and module.num_fcs == 2:
            module.layers = RecomputedGELU(*module.layers)

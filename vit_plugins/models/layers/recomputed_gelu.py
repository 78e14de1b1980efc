"""Keep one wide tensor of each feed-forward network for the backward pass, where torch keeps two.

The network is fc2(GELU(fc1(x))). Torch keeps the input of the GELU for its own gradient and the
output for that of fc2. The output costs little to compute again, and is as large as the input.
"""

from __future__ import annotations

from typing import Any

import torch
from mmcv.cnn.bricks.transformer import FFN
from mmengine.model import Sequential
from torch import Tensor, nn
from torch.nn import functional as F

from .plain_modules import is_plain, is_plain_linear

# older versions of torch do not say whether they compile
_is_compiling = getattr(torch.compiler, 'is_compiling', lambda: False)


class GELULinear(torch.autograd.Function):
    """Linear layer on GELU(h), which keeps h alone: ``apply(h, weight, bias, approximate)``.

    It has derivatives of any order, forward and backward, and rules for ``torch.func``.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(h: Tensor, weight: Tensor, bias: Tensor | None, approximate: str) -> Tensor:
        """Return the output of the layer, shape (..., D), for h of shape (..., 4 D)."""
        return F.linear(F.gelu(h, approximate=approximate), weight, bias)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: Tensor) -> None:
        """Keep what the derivatives need."""
        h, weight, bias, ctx.approximate = inputs
        ctx.bias_dtype = None if bias is None else bias.dtype
        ctx.save_for_backward(h, weight)
        ctx.save_for_forward(h, weight)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of h, weight and bias; ``grad`` has the dtype of the output."""
        h, weight = ctx.saved_tensors
        of_h = of_weight = of_bias = None
        rows = grad.flatten(0, -2)  # (..., D) -> (n, D)
        if ctx.needs_input_grad[1]:  # first, so that at most three wide tensors exist at a time
            wide = F.gelu(h, approximate=ctx.approximate).flatten(0, -2)  # (..., 4 D) -> (n, 4 D)
            of_weight = (rows.T @ wide.to(grad.dtype)).to(weight.dtype)
            del wide
        if ctx.needs_input_grad[0]:
            of_gelu = (grad @ weight.to(grad.dtype)).to(h.dtype)
            of_h = torch.ops.aten.gelu_backward(of_gelu, h, approximate=ctx.approximate)
        if ctx.needs_input_grad[2]:
            of_bias = rows.sum(0).to(ctx.bias_dtype)
        return of_h, of_weight, of_bias, None

    @staticmethod
    def jvp(
        ctx: Any, of_h: Tensor | None, of_weight: Tensor | None, of_bias: Tensor | None, _: Any
    ) -> Tensor:
        """Return the derivative of the output along those of h, weight and bias."""
        h, weight = ctx.saved_tensors
        gelu = F.gelu(h, approximate=ctx.approximate)
        along = torch.zeros_like(gelu)
        if of_h is not None:
            along = torch.ops.aten.gelu_backward(of_h, h, approximate=ctx.approximate)
        out = F.linear(along, weight, of_bias)
        return out if of_weight is None else out + F.linear(gelu, of_weight)


class RecomputedGELU(Sequential):
    """The layers of the host's FFN, (fc1, GELU, dropout), fc2, dropout, with the same names.

    Where something else than their own computation is asked for, by dropout, hooks, LoRA or int8
    layers, or where a compiler decides what is kept, they are called one after the other.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens (..., D) to (..., D)."""
        if _is_compiling() or torch.jit.is_tracing() or not _is_plain_ffn(self):
            return super().forward(x)
        (fc1, act, _), fc2, drop = self
        h = fc1(x)
        if h.requires_grad and h.ndim > 1:
            # Cast here: autocast of torch 2.1 would keep a cast made inside, without gradient.
            weight, bias = (None if p is None else p.to(h.dtype) for p in (fc2.weight, fc2.bias))
            return drop(GELULinear.apply(h, weight, bias, act.approximate))
        return drop(fc2(act(h)))


def _is_plain_ffn(layers: Sequential) -> bool:
    """Check whether nothing but a GELU happens between two linear layers."""
    if len(layers) != 3 or not is_plain(layers[0], Sequential) or len(layers[0]) != 3:
        return False
    (_, act, drop), fc2, _ = layers
    if not is_plain(act, nn.GELU) or not is_plain(drop, nn.Dropout):
        return False
    return is_plain_linear(fc2) and not (drop.training and drop.p > 0)


def recompute_gelus(model: nn.Module) -> None:
    """Make each FFN of the host in a model keep one wide tensor in place of two.

    Args:
        model: Changed in place; names and values of weights stay.
    """
    for module in model.modules():
        if type(module) is FFN and module.num_fcs == 2:
            module.layers = RecomputedGELU(*module.layers)

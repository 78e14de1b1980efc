"""Time gated positional self-attention: ours and timm's; plain attention is the limit."""

from __future__ import annotations

from typing import Any

import torch
from mmpretrain.registry import MODELS
from torch import Tensor, nn
from torch.nn import functional as F

from .comparison import Comparison
from .module_sides import MODES, compare_modules
from .setting import Setting

# (embed_dims, heads, grid, batch)
LAYERS = {
    'toy': ((16, 4, 4, 2),),
    'cpu': ((192, 4, 14, 8), (432, 9, 14, 8), (432, 9, 24, 4)),
    'gpu': ((432, 9, 14, 128), (432, 9, 24, 64)),
    'large': ((768, 16, 32, 64),),
    'scaling': tuple((432, 9, grid, 2) for grid in (7, 14, 24, 32)),  # 112 to 512 px
}


PLAIN = 'plain attention by SDPA with as many weights: no position, no gate'


def cases(size: str) -> dict[str, dict[str, Any]]:
    """Return the name of each case and its arguments.

    Args:
        size: A size of :class:`Setting`.
    """
    return {
        f'GPSA h={heads} N={grid**2} {mode}': dict(
            dims=dims, heads=heads, grid=grid, batch=batch, mode=mode
        )
        for dims, heads, grid, batch in LAYERS[size]
        for mode in MODES
    }


def build(
    setting: Setting, *, dims: int, heads: int, grid: int, batch: int, mode: str
) -> Comparison:
    """Return only the layers, on the tokens of a square grid.

    Args:
        setting: Device and precision.
        dims: Width of a token.
        heads: Number of heads.
        grid: Number of tokens along each side.
        batch: Number of images in a call.
        mode: One of ``MODES``.
    """
    ours = MODELS.build(dict(type='mmpretrain.GPSA', embed_dims=dims, num_heads=heads))
    x = torch.randn(batch, grid**2, dims, requires_grad=True, device=setting.device)
    modules: dict[str, nn.Module] = {'ours': ours.to(setting.device)}
    forwards = {'ours': lambda module: module(x, (grid, grid))}
    missing = {}
    try:
        from timm.models.convit import GPSA as TimmGPSA
    except ImportError as error:
        missing['timm'] = f'{error}'
    else:
        modules['timm'] = TimmGPSA(dims, heads).to(setting.device)
        modules['timm'].load_state_dict(ours.state_dict())
        forwards['timm'] = lambda module: module(x)
    modules['plain'] = PlainAttention(dims, heads).to(setting.device)
    forwards['plain'] = lambda module: module(x)
    limits = {'plain': PLAIN}
    name = f'GPSA h={heads} N={grid**2} {mode}'
    return compare_modules(name, modules, forwards, setting, mode, batch, limits, missing)


class PlainAttention(nn.Module):
    """Self-attention of a ViT, (B, N, D) to (B, N, D).

    Args:
        dims: Width D of a token.
        heads: Number of heads h.
    """

    def __init__(self, dims: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dims, 3 * dims, bias=False)
        self.proj = nn.Linear(dims, dims)

    def forward(self, x: Tensor) -> Tensor:
        """Compute the attention.

        Args:
            x: Tokens.
        """
        qkv = self.qkv(x).unflatten(2, (3, self.heads, -1))  # (B, N, 3, h, d)
        out = F.scaled_dot_product_attention(*qkv.permute(2, 0, 3, 1, 4))  # (B, h, N, d)
        return self.proj(out.transpose(1, 2).flatten(2))

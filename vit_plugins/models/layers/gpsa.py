"""Gated positional self-attention (GPSA) of ConViT."""

import math

import torch
from mmcv.cnn.bricks.drop import DropPath
from mmengine.model import BaseModule
from mmengine.model.weight_init import trunc_normal_
from mmpretrain.registry import MODELS
from torch import Tensor, nn
from torch.nn import functional as F

from .._number_checks import check_rates, check_sizes
from .plain_modules import is_plain_linear
from .positional_attention import (
    gated_attention,
    gated_attention_map,
    local_pos_weight,
    summed_attention,
    summed_attention_map,
)

# How content and position are mixed: the attention and its map.
MODES = {
    'gpsa': (gated_attention, gated_attention_map),
    'psa': (summed_attention, summed_attention_map),
}


def joined_linear(x: Tensor, first: nn.Linear, second: nn.Linear) -> Tensor:
    """Return the outputs of two linear layers side by side, by one product.

    A GPU starts fewer operations, and autocast casts ``x`` once; the joined weights are kept for
    the backward pass.

    Args:
        x: Input, shape (..., D).
        first: Layer with or without bias.
        second: Layer with a bias if the first has one.

    Returns:
        Shape (..., sum of both widths).
    """
    bias = None if first.bias is None else torch.cat((first.bias, second.bias))
    return F.linear(x, torch.cat((first.weight, second.weight)), bias)


def _can_join(first: nn.Module, second: nn.Module) -> bool:
    """Check whether two layers may be computed by one product of joined weights."""
    plain = is_plain_linear(first) and is_plain_linear(second)
    return plain and (first.bias is None) == (second.bias is None)


@MODELS.register_module()
class GPSA(BaseModule):
    """Gated positional self-attention of `ConViT <https://arxiv.org/abs/2103.10697>`_, Eq. 6-8.

    Each head mixes attention by content C with attention by position P through a learned gate,
    A = (1 - σ(λ)) C + σ(λ) P, and starts as one tap of a convolution. It can replace the attention
    of any model whose tokens are the patches of a grid, without class token::

        attn = MODELS.build(dict(type='GPSA', embed_dims=192, num_heads=4))
        y = attn(x, hw_shape=(14, 14))  # x, y: (B, 196, 192)

    Args:
        embed_dims: Width D of the tokens.
        num_heads: Number of heads h, a divisor of D. Square numbers give the paper's kernel.
        locality_strength: α, how sharply a head attends to its centre at the start.
        use_local_init: Start as a convolution (V = identity, heads on a K × K kernel). If False,
            those weights start at random like the others (Table 3 c, d, g).
        gate: None learns one gate per head, starting at σ(1). A number in [0, 1] fixes the gates
            to it, whatever a checkpoint contains (0.5 is Table 3 b, d; 1 masks content, 0
            position).
        frozen: Train no parameter of this layer (Table 3 f, g).
        mode: ``'gpsa'``, or ``'psa'`` for the ablation that sums content and position logits in
            one softmax and has no gate.
        qkv_bias: Add a bias to queries, keys and values.
        attn_drop: Dropout rate of the attention; above 0, training forms it explicitly.
        proj_drop: Dropout rate of the output.
        drop_path: Stochastic depth rate of the output.
        init_cfg: Initialisation of the linear layers; the convolutional start is applied after it.
    """

    def __init__(
        self,
        embed_dims: int,
        num_heads: int,
        locality_strength: float = 1.0,
        use_local_init: bool = True,
        gate: float | None = None,
        frozen: bool = False,
        mode: str = 'gpsa',
        qkv_bias: bool = False,
        attn_drop: float = 0.0,
        proj_drop: float = 0.0,
        drop_path: float = 0.0,
        init_cfg: dict | list[dict] | None = None,
    ):
        super().__init__(init_cfg)
        check_sizes(embed_dims=embed_dims)
        check_rates(attn_drop=attn_drop, proj_drop=proj_drop, drop_path=drop_path)
        if num_heads < 1 or embed_dims % num_heads:
            raise ValueError(
                f'embed_dims ({embed_dims}) must be a multiple of num_heads ({num_heads}).'
            )
        if mode not in MODES:
            raise ValueError(f"mode must be 'gpsa' or 'psa', got {mode!r}.")
        if gate is not None and (mode == 'psa' or not 0 <= gate <= 1):
            raise ValueError(
                f"gate must be None or a number in [0, 1], and None if mode='psa' (which has no "
                f'gate); got gate={gate}, mode={mode!r}.'
            )
        self.embed_dims = embed_dims
        self.num_heads = num_heads
        self.locality_strength = locality_strength
        self.use_local_init = use_local_init
        self.gate = gate
        self.frozen = frozen
        self.mode = mode

        self.qk = nn.Linear(embed_dims, 2 * embed_dims, bias=qkv_bias)
        self.v = nn.Linear(embed_dims, embed_dims, bias=qkv_bias)
        self.pos_proj = nn.Linear(3, num_heads)
        self.gating_param = nn.Parameter(torch.full((num_heads,), self._initial_lambda()))
        self.proj = nn.Linear(embed_dims, embed_dims)
        self.attn_drop = attn_drop
        self.proj_drop = nn.Dropout(proj_drop)
        self.out_drop = DropPath(drop_path)

        # The bias shifts whole rows of logits, which softmax ignores; it exists to load files.
        self.pos_proj.bias.requires_grad = False
        self.gating_param.requires_grad = gate is None and mode == 'gpsa'
        if frozen:
            self.requires_grad_(False)

        for linear in (self.qk, self.v, self.pos_proj, self.proj):
            trunc_normal_(linear.weight, std=0.02)
            if linear.bias is not None:
                nn.init.zeros_(linear.bias)
        if use_local_init:
            self.local_init()

    def _initial_lambda(self) -> float:
        """Return λ with σ(λ) = gate; ±100 stands for a gate of 1 or 0, and keeps EMA finite."""
        if self.gate is None:
            return 1.0
        if self.gate in (0, 1):
            return 200.0 * self.gate - 100.0
        return math.log(self.gate / (1 - self.gate))

    def local_init(self) -> None:
        """Start as a convolution: V = identity, each head attends to its centre of the kernel."""
        with torch.no_grad():
            nn.init.eye_(self.v.weight)
            self.pos_proj.weight.copy_(local_pos_weight(self.num_heads, self.locality_strength))

    def init_weights(self) -> None:
        """Apply ``init_cfg``, then the convolutional start; a parent's init may overwrite both."""
        first = not self.is_init
        super().init_weights()
        cfgs = self.init_cfg if isinstance(self.init_cfg, list) else [self.init_cfg or {}]
        loaded = any(cfg.get('type') == 'Pretrained' for cfg in cfgs)
        if first and self.use_local_init and not loaded:
            self.local_init()

    def _load_from_state_dict(self, state_dict, prefix, *args, **kwargs):
        if self.gate is not None:  # a fixed gate stays fixed
            state_dict[prefix + 'gating_param'] = self.gating_param.detach()
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)

    def forward(self, x: Tensor, hw_shape: tuple[int, int]) -> Tensor:
        """Compute the attention output.

        Args:
            x: Patch tokens in row-major order, shape (B, N, D).
            hw_shape: Their grid (H, W), H W = N.

        Returns:
            Shape (B, N, D).

        Raises:
            ValueError: If the grid does not have N patches.
        """
        q, k, v = self._project(x, hw_shape)
        dropout = self.attn_drop if self.training else 0.0
        attend, _ = MODES[self.mode]
        out = attend(q, k, v, self.positional_weight(), self.gates(), hw_shape, dropout)
        out = self.proj(out.flatten(2))  # (B, N, h, d) -> (B, N, D)
        return self.out_drop(self.proj_drop(out))

    def get_attention_map(self, x: Tensor, hw_shape: tuple[int, int]) -> Tensor:
        """Return each head's attention without dropout, (B, h, N, N); arguments as `forward`."""
        q, k, _ = self._project(x, hw_shape)
        _, attention_map = MODES[self.mode]
        return attention_map(q, k, self.positional_weight(), self.gates(), hw_shape)

    def positional_weight(self) -> Tensor:
        """Return the rows w of ``pos_proj``, shape (h, 3): what it adds for each unit vector.

        A layer that is not plain is called, because its weight does not say what it computes; one
        with a trained bias too, because DDP waits for the gradient of each trained parameter.
        """
        layer = self.pos_proj
        if is_plain_linear(layer) and (layer.bias is None or not layer.bias.requires_grad):
            return layer.weight
        like = self.gating_param
        with torch.autocast(like.device.type, enabled=False):  # see positional_attention
            basis = torch.eye(4, 3, device=like.device).to(like.dtype)  # the last row is 0
            rows = layer(basis)  # (4, h)
        return (rows[:3] - rows[3]).T

    def gates(self) -> Tensor:
        """Return g = σ(λ) of each head, the share of its positional attention, shape (h,)."""
        return self.gating_param.sigmoid()

    def _project(self, x: Tensor, hw_shape: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor]:
        n = x.shape[1]
        if hw_shape[0] * hw_shape[1] != n:
            raise ValueError(
                f'hw_shape {tuple(hw_shape)} has {hw_shape[0] * hw_shape[1]} patches, but x has '
                f'{n} tokens. Pass the (H, W) of the patch grid and no class token.'
            )
        if x.is_cuda and _can_join(self.qk, self.v):
            qkv = joined_linear(x, self.qk, self.v)  # (B, N, 3 D)
            return qkv.unflatten(2, (3, self.num_heads, -1)).unbind(2)  # each (B, N, h, d)
        q, k = self.qk(x).unflatten(2, (2, self.num_heads, -1)).unbind(2)  # (B, N, h, d)
        return q, k, self.v(x).unflatten(2, (self.num_heads, -1))

    def extra_repr(self) -> str:
        """Return the settings that the child modules do not print."""
        return (
            f'heads={self.num_heads}, mode={self.mode}, gate={self.gate}, frozen={self.frozen}, '
            f'locality_strength={self.locality_strength}, use_local_init={self.use_local_init}, '
            f'attn_drop={self.attn_drop}'
        )

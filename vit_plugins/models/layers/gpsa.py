"""Gated positional self-attention (GPSA) of ConViT, in an exact fast form."""

import math
import warnings
from functools import lru_cache

import torch
import torch.nn.functional as F
from mmcv.cnn.bricks.drop import DropPath
from mmengine.model import BaseModule
from mmengine.model.weight_init import trunc_normal_
from mmpretrain.registry import MODELS
from torch import Tensor, nn


@lru_cache
def attention_centres(num_heads: int) -> tuple[tuple[float, float], ...]:
    """Return the patch offset (Δx, Δy) that each head of a fresh GPSA attends to.

    The heads form a K × K kernel, K = ceil(√h), the slow head index moving x. Where h is not a
    square (a case the paper leaves out) the h centres nearest the middle are kept and shifted to
    mean zero; one warning says so.
    """
    size = math.isqrt(num_heads - 1) + 1
    middle = (size - 1) / 2
    grid = [(j - middle, i - middle) for j in range(size) for i in range(size)]
    if len(grid) == num_heads:
        return tuple(grid)
    warnings.warn(
        f'GPSA with {num_heads} heads: not a square number, so the convolutional initialisation '
        f'takes the {num_heads} centres of the {size} x {size} kernel nearest its middle. '
        f'The paper uses 4, 9 or 16 heads.',
        stacklevel=2,
    )
    nearest = sorted(range(len(grid)), key=lambda n: (math.hypot(*grid[n]), n))[:num_heads]
    kept = [grid[n] for n in sorted(nearest)]
    mean_x, mean_y = (sum(axis) / num_heads for axis in zip(*kept, strict=True))
    return tuple((x - mean_x, y - mean_y) for x, y in kept)


def local_pos_weight(num_heads: int, locality_strength: float = 1.0) -> Tensor:
    """Return the rows α (2 Δx, 2 Δy, -1) of the convolutional initialisation, shape (h, 3).

    Completing the square, a head's logit is -α ‖δ - Δ_h‖² up to a constant.

    Args:
        num_heads: Number of heads h.
        locality_strength: α.
    """
    rows = [(2 * x, 2 * y, -1.0) for x, y in attention_centres(num_heads)]
    return locality_strength * torch.tensor(rows)


def axis_logits(linear: Tensor, quadratic: Tensor, length: int) -> Tensor:
    """Positional logits ``linear * d + quadratic * d²`` along one axis, d = key - query.

    Args:
        linear: Factor of the offset, shape (h,).
        quadratic: Factor of the squared offset, shape (h,).
        length: Number of patches n along the axis.

    Returns:
        Shape (h, n, n), in fp32 at least: half precision is wrong by up to 0.5 in probability.
    """
    dtype = torch.float64 if linear.dtype == torch.float64 else torch.float32
    steps = torch.arange(length, dtype=dtype, device=linear.device)
    offset = steps - steps[:, None]  # (n, n)
    linear, quadratic = linear.to(dtype)[:, None, None], quadratic.to(dtype)[:, None, None]
    return offset * (linear + quadratic * offset)


def positional_logits(pos_weight: Tensor, hw_shape: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Split the positional logits of the grid into a row part and a column part.

    The relative feature is (dx, dy, dx² + dy²), so w · r is a function of dy plus one of dx.

    Args:
        pos_weight: Rows (w0, w1, w2) of ``pos_proj``, shape (h, 3).
        hw_shape: The grid (H, W).

    Returns:
        Logits along y (h, H, H) and along x (h, W, W).
    """
    w0, w1, w2 = pos_weight.unbind(1)
    return axis_logits(w1, w2, hw_shape[0]), axis_logits(w0, w2, hw_shape[1])


def positional_factors(pos_weight: Tensor, hw_shape: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Return the 1-D softmaxes whose Kronecker product is the positional attention P.

    ``P[(y, x), (y', x')] = P_y[y, y'] * P_x[x, x']`` holds for any weights, at the borders too.

    Args:
        pos_weight: Rows of ``pos_proj``, shape (h, 3).
        hw_shape: The grid (H, W).

    Returns:
        P_y (h, H, H) and P_x (h, W, W), in fp32 at least.
    """
    along_y, along_x = positional_logits(pos_weight, hw_shape)
    return along_y.softmax(-1), along_x.softmax(-1)


def outer(along_y: Tensor, along_x: Tensor, product: bool) -> Tensor:
    """Combine two axes to (h, N, N).

    Args:
        along_y: Factors or logits, shape (h, H, H).
        along_x: Factors or logits, shape (h, W, W).
        product: True multiplies (factors), False adds (logits).
    """
    along_y = along_y[:, :, None, :, None]  # (h, H, 1, H, 1)
    along_x = along_x[:, None, :, None, :]  # (h, 1, W, 1, W)
    full = along_y * along_x if product else along_y + along_x
    return full.flatten(3).flatten(1, 2)  # (h, N, N)


def apply_factors(v: Tensor, p_y: Tensor, p_x: Tensor) -> Tensor:
    """Multiply values by the Kronecker product of the factors, without forming it.

    Args:
        v: Values, shape (B, N, h, d), N = H W in row-major order.
        p_y: Factor along y, shape (h, H, H).
        p_x: Factor along x, shape (h, W, W).

    Returns:
        P v, shape (B, N, h, d).
    """
    b, _, heads, d = v.shape
    h, w = p_y.shape[-1], p_x.shape[-1]
    # One large matrix product per head and axis: the batch is part of the columns.
    v = v.unflatten(1, (h, w)).permute(3, 2, 0, 1, 4).reshape(heads, w, b * h * d)
    v = torch.bmm(p_x.to(v.dtype), v).view(heads, w, b, h, d)
    v = v.permute(0, 3, 1, 2, 4).reshape(heads, h, w * b * d)
    v = torch.bmm(p_y.to(v.dtype), v).view(heads, h, w, b, d)
    return v.permute(3, 1, 2, 0, 4).reshape(b, h * w, heads, d)


def gated_attention(
    q: Tensor, k: Tensor, v: Tensor, pos_weight: Tensor, gate: Tensor, hw_shape: tuple[int, int]
) -> Tensor:
    """Compute ((1 - g) C + g P) v without an N × N tensor (Eq. 7 of the paper).

    Args:
        q: Queries, shape (B, N, h, d).
        k: Keys, shape (B, N, h, d).
        v: Values, shape (B, N, h, d).
        pos_weight: Rows of ``pos_proj``, shape (h, 3).
        gate: g = σ(λ), the share of the positional part, shape (h,).
        hw_shape: The grid (H, W) of the N tokens.

    Returns:
        Shape (B, N, h, d).
    """
    content = F.scaled_dot_product_attention(*(t.transpose(1, 2) for t in (q, k, v)))
    p_y, p_x = positional_factors(pos_weight, hw_shape)
    position = apply_factors(v, gate[:, None, None] * p_y, p_x)
    return torch.addcmul(position, content.transpose(1, 2), (1 - gate).to(v.dtype)[:, None])


def gated_attention_map(
    q: Tensor, k: Tensor, pos_weight: Tensor, gate: Tensor, hw_shape: tuple[int, int]
) -> Tensor:
    """Return the attention A = (1 - g) C + g P itself, shape (B, h, N, N).

    Args:
        q: Queries, shape (B, N, h, d).
        k: Keys, shape (B, N, h, d).
        pos_weight: Positional weights, shape (h, 3).
        gate: g, the share of position, shape (h,).
        hw_shape: The grid (H, W).
    """
    q, k = q.transpose(1, 2), k.transpose(1, 2)  # (B, h, N, d)
    content = (q @ k.transpose(-2, -1) * q.shape[-1] ** -0.5).softmax(-1)
    position = outer(*positional_factors(pos_weight, hw_shape), product=True)
    return torch.lerp(content, position.to(content.dtype), gate.to(content.dtype)[:, None, None])


@MODELS.register_module()
class GPSA(BaseModule):
    """Gated positional self-attention of `ConViT <https://arxiv.org/abs/2103.10697>`_, Eq. 6-8.

    Each head mixes attention by content C with attention by position P through a learned gate,
    A = (1 - σ(λ)) C + σ(λ) P, and starts as one tap of a convolution. It takes the place of the
    attention of any model whose tokens are the patches of a grid (no class token among them)::

        attn = MODELS.build(dict(type='GPSA', embed_dims=192, num_heads=4))
        y = attn(x, hw_shape=(14, 14))  # x, y: (B, 196, 192)

    Args:
        embed_dims: Width D of the tokens.
        num_heads: Number of heads h, a divisor of D. Square numbers give the paper's kernel.
        locality_strength: α, how sharply a head attends to its centre at the start.
        use_local_init: Start as a convolution (V = identity, heads on a K × K kernel). If False,
            those weights start as random as the others (Table 3 c, d, g).
        gate: None learns one gate per head, starting at σ(1). A number in [0, 1] fixes the gates
            to it, whatever a checkpoint says (0.5 is Table 3 b, d; 1 masks content, 0 position).
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
        if num_heads < 1 or embed_dims % num_heads:
            raise ValueError(
                f'embed_dims ({embed_dims}) must be a multiple of num_heads ({num_heads}).'
            )
        if mode not in ('gpsa', 'psa'):
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

        # The bias shifts whole rows of logits, which softmax ignores: it is there to be loaded.
        self.pos_proj.bias.requires_grad = False
        self.gating_param.requires_grad = gate is None and mode == 'gpsa'
        if frozen:
            self.requires_grad_(False)

        for linear in (self.qk, self.v, self.pos_proj, self.proj):
            trunc_normal_(linear.weight, std=0.02)
        for bias in (self.pos_proj.bias, self.proj.bias):
            nn.init.zeros_(bias)
        if use_local_init:
            self.local_init()

    def _initial_lambda(self) -> float:
        """Return λ with σ(λ) = gate; ±100 stands for a gate of 1 or 0 and stays finite for EMA."""
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
        """Apply ``init_cfg``, then the convolutional start, overwritten by a parent's init."""
        first = not self.is_init
        super().init_weights()
        cfgs = self.init_cfg if isinstance(self.init_cfg, list) else [self.init_cfg or {}]
        loaded = any(cfg.get('type') == 'Pretrained' for cfg in cfgs)
        if first and self.use_local_init and not loaded:
            self.local_init()

    def _load_from_state_dict(self, state_dict, prefix, *args, **kwargs):
        if self.gate is not None:  # fixed means fixed
            state_dict[prefix + 'gating_param'] = self.gating_param.detach()
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)

    def forward(self, x: Tensor, hw_shape: tuple[int, int]) -> Tensor:
        """Attend.

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
        if self.mode == 'psa':
            bias = outer(*positional_logits(self._pos_weight(), hw_shape), product=False)
            q, k, v = (t.transpose(1, 2) for t in (q, k, v))  # (B, h, N, d)
            out = F.scaled_dot_product_attention(q, k, v, bias.to(q.dtype)[None], dropout)
            out = out.transpose(1, 2)
        elif dropout > 0:
            # One mask on A is not a mask on C and one on P: this needs A.
            attn = gated_attention_map(q, k, self._pos_weight(), self._gate(), hw_shape)
            out = (F.dropout(attn, dropout) @ v.transpose(1, 2)).transpose(1, 2)
        else:
            out = gated_attention(q, k, v, self._pos_weight(), self._gate(), hw_shape)
        return self.out_drop(
            self.proj_drop(self.proj(out.flatten(2)))
        )  # (B, N, h, d) -> (B, N, D)

    def get_attention_map(self, x: Tensor, hw_shape: tuple[int, int]) -> Tensor:
        """Return each head's attention without dropout, (B, h, N, N); arguments as `forward`."""
        q, k, _ = self._project(x, hw_shape)
        if self.mode == 'gpsa':
            return gated_attention_map(q, k, self._pos_weight(), self._gate(), hw_shape)
        q, k = q.transpose(1, 2), k.transpose(1, 2)  # (B, h, N, d)
        bias = outer(*positional_logits(self._pos_weight(), hw_shape), product=False)
        return (q @ k.transpose(-2, -1) * q.shape[-1] ** -0.5 + bias).softmax(-1)

    def _pos_weight(self) -> Tensor:
        """Return the rows w of ``pos_proj``, shape (h, 3): what it adds for each unit vector.

        The module is called, its weight is not read: it may be a LoRA layer or an int8 one.
        """
        like = self.gating_param
        with torch.autocast(like.device.type, enabled=False):  # see axis_logits
            basis = torch.eye(4, 3, dtype=like.dtype, device=like.device)  # the last row is 0
            rows = self.pos_proj(basis)  # (4, h)
        return (rows[:3] - rows[3]).T

    def _gate(self) -> Tensor:
        return self.gating_param.sigmoid()

    def _project(self, x: Tensor, hw_shape: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor]:
        n = x.shape[1]
        if hw_shape[0] * hw_shape[1] != n:
            raise ValueError(
                f'hw_shape {tuple(hw_shape)} has {hw_shape[0] * hw_shape[1]} patches, but x has '
                f'{n} tokens. Pass the (H, W) of the patch grid and no class token.'
            )
        q, k = self.qk(x).unflatten(2, (2, self.num_heads, -1)).unbind(2)  # (B, N, h, d)
        return q, k, self.v(x).unflatten(2, (self.num_heads, -1))

    def extra_repr(self) -> str:
        """Return the settings that the child modules do not print."""
        return (
            f'heads={self.num_heads}, mode={self.mode}, gate={self.gate}, frozen={self.frozen}, '
            f'locality_strength={self.locality_strength}, use_local_init={self.use_local_init}, '
            f'attn_drop={self.attn_drop}'
        )

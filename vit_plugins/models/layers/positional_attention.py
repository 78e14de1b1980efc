"""Compute the equations of ConViT's attention in an exact fast form."""

import math
import warnings
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

# older versions of torch do not say whether they export
_is_exporting = getattr(torch.compiler, 'is_exporting', lambda: False)
# Up to this number of tokens a GPU is faster with the whole positional attention P, although it
# computes more: its tensor cores are slow with sides such as 14. A CPU is not faster.
# Measured in docs/gpu/launches.json.
MAP_TOKENS = 576


@lru_cache
def attention_centres(num_heads: int) -> tuple[tuple[float, float], ...]:
    """Return the patch offset (Δx, Δy) that each head of a fresh GPSA attends to.

    The heads form a K × K kernel, K = ceil(√h); the slow head index moves x. If h is not a square
    (the paper does not cover this case), the h centres nearest to the middle are kept and shifted
    to mean zero; one warning says so.
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
    """Compute the logits ``linear * d + quadratic * d²`` along one axis, d = key - query.

    Args:
        linear: Factors of the offset, shape (h, k).
        quadratic: Factor of the squared offset, shape (h, 1).
        length: Number of patches n along the axis.

    Returns:
        Shape (h, k, n, n), in fp32 at least: half precision is wrong by up to 0.5 in probability.
    """
    dtype = torch.float64 if linear.dtype == torch.float64 else torch.float32
    steps = torch.arange(length, dtype=dtype, device=linear.device)
    offset = steps - steps[:, None]  # (n, n)
    linear = linear.to(dtype)[:, :, None, None]  # (h, k, 1, 1)
    quadratic = quadratic.to(dtype)[:, :, None, None]  # (h, 1, 1, 1)
    return torch.addcmul(linear, quadratic, offset) * offset


def positional_logits(pos_weight: Tensor, hw_shape: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Split the positional logits of the grid into a row part and a column part.

    The relative feature is (dx, dy, dx² + dy²), so w · r is a function of dy plus one of dx.

    Args:
        pos_weight: Rows (w0, w1, w2) of ``pos_proj``, shape (h, 3).
        hw_shape: The grid (H, W).

    Returns:
        Logits along y (h, H, H) and along x (h, W, W).
    """
    linear, quadratic = pos_weight.split((2, 1), 1)  # (h, 2), (h, 1)
    h, w = hw_shape
    if type(h) is int and h == w:  # both axes at once: a GPU waits for the start of each operation
        along_x, along_y = axis_logits(linear, quadratic, w).unbind(1)
    else:  # also for the sizes of an exported program, which may not be compared
        along_x = axis_logits(linear[:, :1], quadratic, w)[:, 0]
        along_y = axis_logits(linear[:, 1:], quadratic, h)[:, 0]
    return along_y, along_x


def positional_factors(pos_weight: Tensor, hw_shape: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Return the 1-D softmaxes whose Kronecker product is the positional attention P.

    ``P[(y, x), (y', x')] = P_y[y, y'] * P_x[x, x']`` holds for any weights, also at the borders.

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
    """Multiply values by the Kronecker product of the factors.

    Args:
        v: Values, shape (B, N, h, d), N = H W in row-major order.
        p_y: Factor along y, shape (h, H, H).
        p_x: Factor along x, shape (h, W, W).

    Returns:
        P v, shape (B, N, h, d).
    """
    tokens = p_y.shape[-1] * p_x.shape[-1]
    # an exported program serves any size, and its sizes may not be compared
    known = type(tokens) is int and not _is_exporting()
    small = v.is_cuda and known and tokens <= MAP_TOKENS
    return _apply_whole(v, p_y, p_x) if small else _apply_by_axes(v, p_y, p_x)


def _apply_whole(v: Tensor, p_y: Tensor, p_x: Tensor) -> Tensor:
    """Multiply values by the product of the factors, through P itself."""
    b, n, heads, d = v.shape  # (B, N, h, d)
    p = outer(p_y, p_x, product=True).to(v.dtype)  # (h, N, N), one for the whole batch
    columns = v.permute(2, 1, 0, 3).reshape(heads, n, b * d)  # (h, N, B d)
    return torch.bmm(p, columns).unflatten(2, (b, d)).permute(2, 1, 0, 3)  # (B, N, h, d)


def _apply_by_axes(v: Tensor, p_y: Tensor, p_x: Tensor) -> Tensor:
    """Multiply values by the factors one after the other, without forming P."""
    b, _, heads, d = v.shape  # (B, N, h, d)
    h, w = p_y.shape[-1], p_x.shape[-1]
    # One large matrix product per head and axis: the batch is part of the columns.
    v = v.unflatten(1, (h, w)).permute(3, 2, 0, 1, 4).reshape(heads, w, b * h * d)  # (h, W, B H d)
    v = torch.bmm(p_x.to(v.dtype), v).view(heads, w, b, h, d)
    v = v.permute(0, 3, 1, 2, 4).reshape(heads, h, w * b * d)  # (h, H, W B d)
    v = torch.bmm(p_y.to(v.dtype), v).view(heads, h, w, b, d)
    return v.permute(3, 1, 2, 0, 4).reshape(b, h * w, heads, d)  # (B, N, h, d)


def gated_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    pos_weight: Tensor,
    gate: Tensor,
    hw_shape: tuple[int, int],
    dropout: float = 0.0,
) -> Tensor:
    """Compute ((1 - g) C + g P) v (Eq. 7); without dropout, no N × N tensor per image is formed.

    Args:
        q: Queries, shape (B, N, h, d).
        k: Keys, shape (B, N, h, d).
        v: Values, shape (B, N, h, d).
        pos_weight: Rows of ``pos_proj``, shape (h, 3).
        gate: g = σ(λ), the share of the positional part, shape (h,).
        hw_shape: The grid (H, W) of the N tokens.
        dropout: Dropout rate of the attention.

    Returns:
        Shape (B, N, h, d).
    """
    if dropout > 0:  # one dropout mask on A differs from masks on C and on P, so A is formed
        attn = gated_attention_map(q, k, pos_weight, gate, hw_shape)
        return (F.dropout(attn, dropout) @ v.transpose(1, 2)).transpose(1, 2)
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


def summed_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    pos_weight: Tensor,
    gate: Tensor,
    hw_shape: tuple[int, int],
    dropout: float = 0.0,
) -> Tensor:
    """Compute the ablation of the gate: content and position logits in one softmax, times v.

    Args:
        q: Queries, shape (B, N, h, d).
        k: Keys, shape (B, N, h, d).
        v: Values, shape (B, N, h, d).
        pos_weight: Rows of ``pos_proj``, shape (h, 3).
        gate: Not used, as there is no gate.
        hw_shape: The grid (H, W) of the N tokens.
        dropout: Dropout rate of the attention.

    Returns:
        Shape (B, N, h, d).
    """
    bias = outer(*positional_logits(pos_weight, hw_shape), product=False)
    q, k, v = (t.transpose(1, 2) for t in (q, k, v))  # (B, h, N, d)
    out = F.scaled_dot_product_attention(q, k, v, bias.to(q.dtype)[None], dropout)
    return out.transpose(1, 2)


def summed_attention_map(
    q: Tensor, k: Tensor, pos_weight: Tensor, gate: Tensor, hw_shape: tuple[int, int]
) -> Tensor:
    """Return the attention of `summed_attention` itself, shape (B, h, N, N).

    Args:
        q: Queries, shape (B, N, h, d).
        k: Keys, shape (B, N, h, d).
        pos_weight: Positional weights, shape (h, 3).
        gate: Not used, as there is no gate.
        hw_shape: The grid (H, W).
    """
    q, k = q.transpose(1, 2), k.transpose(1, 2)  # (B, h, N, d)
    bias = outer(*positional_logits(pos_weight, hw_shape), product=False)
    return (q @ k.transpose(-2, -1) * q.shape[-1] ** -0.5 + bias).softmax(-1)

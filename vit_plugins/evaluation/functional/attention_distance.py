"""Compute how far attention looks: the mean distance between a query and its keys."""

from __future__ import annotations

import torch
from torch import Tensor


def grid_distances(
    hw_shape: tuple[int, int],
    key_shape: tuple[int, int] | None = None,
    key_step: int = 1,
    patch_size: tuple[float, float] = (1.0, 1.0),
) -> Tensor:
    """Compute the Euclidean distances between the patches of a grid.

    Args:
        hw_shape: The grid (H, W) of the queries, in row-major order.
        key_shape: The grid (H', W') of the keys; None takes that of the queries.
        key_step: Rows and columns of the queries' grid from key to key.
        patch_size: Height and width of a patch; (1, 1) counts in patches.

    Returns:
        Shape (N, M) for N = H W queries and M = H' W' keys, float32.

    >>> grid_distances((1, 3))
    tensor([[0., 1., 2.],
            [1., 0., 1.],
            [2., 1., 0.]])
    """
    axes = []
    for length, keys, size in zip(hw_shape, key_shape or hw_shape, patch_size, strict=True):
        offset = torch.arange(keys) * key_step - torch.arange(length)[:, None]
        axes.append(offset * size)  # (H, H') and (W, W')
    rows, columns = axes
    return torch.hypot(rows[:, None, :, None].float(), columns[None, :, None, :].float()).reshape(
        rows.shape[0] * columns.shape[0], -1
    )


def nonlocality(
    attention: Tensor,
    hw_shape: tuple[int, int],
    key_shape: tuple[int, int] | None = None,
    key_step: int = 1,
) -> Tensor:
    """Compute the non-locality of each head, Eq. 8 of ConViT (arXiv 2103.10697), in patches.

    D_loc = (1/N) Σ_n Σ_m A_nm ‖δ_nm‖, the mean over the queries n of the distance in the grid to
    the keys m, weighted by the attention. A layer's value is the mean of its heads.

    Args:
        attention: Rows that sum to 1, without class token, shape (B, h, N, M) or (h, N, M).
        hw_shape: The grid (H, W) of the queries.
        key_shape: The grid of the keys, if it differs.
        key_step: Rows and columns from key to key.

    Returns:
        Shape (h,), the mean over the images.
    """
    return attention_distance(attention, hw_shape, (1.0, 1.0), key_shape, key_step)


def attention_distance(
    attention: Tensor,
    hw_shape: tuple[int, int],
    patch_size: tuple[float, float],
    key_shape: tuple[int, int] | None = None,
    key_step: int = 1,
) -> Tensor:
    """Compute the mean attention distance of each head in pixels, ViT's Figs. 7 and 11.

    It equals :func:`nonlocality` with the height and width of a patch in pixels as units
    (arXiv 2010.11929, appendix D.7).

    Args:
        attention: Rows that sum to 1, without class token, shape (B, h, N, M) or (h, N, M).
        hw_shape: The grid (H, W) of the queries.
        patch_size: Height and width of a patch of that grid in pixels.
        key_shape: The grid of the keys, if it differs.
        key_step: Rows and columns from key to key.

    Returns:
        Shape (h,), the mean over the images.

    Raises:
        ValueError: If the attention does not fit these grids.
    """
    distances = grid_distances(hw_shape, key_shape, key_step, patch_size).to(attention.device)
    if attention.shape[-2:] != distances.shape or attention.ndim not in (3, 4):
        raise ValueError(
            f'attention of shape {tuple(attention.shape)} is not between the {distances.shape[0]} '
            f'queries and {distances.shape[1]} keys of the grid {tuple(hw_shape)}: leave out the '
            'class token (without_extra_tokens) and give the (H, W) of the patches'
        )
    attention = attention.to(torch.promote_types(attention.dtype, torch.float32))
    per_head = (attention * distances.to(attention.dtype)).sum(-1).mean(-1)  # (B, h) or (h,)
    return per_head.mean(0) if per_head.ndim == 2 else per_head


def without_extra_tokens(attention: Tensor, num_extra_tokens: int) -> Tensor:
    """Remove class and distillation tokens from queries and keys, and rescale rows to sum to 1.

    Args:
        attention: Shape (..., E + N, E + M).
        num_extra_tokens: E, the tokens before those of the patches.

    Returns:
        Shape (..., N, M).
    """
    if not num_extra_tokens:
        return attention
    patches = attention[..., num_extra_tokens:, num_extra_tokens:]
    return patches / patches.sum(-1, keepdim=True).clamp(min=torch.finfo(patches.dtype).tiny)


def uniform_nonlocality(
    hw_shape: tuple[int, int], key_shape: tuple[int, int] | None = None, key_step: int = 1
) -> float:
    """Compute the non-locality of uniform attention, in patches.

    Args:
        hw_shape: The grid (H, W) of the queries.
        key_shape: The grid of the keys, if it differs.
        key_step: Rows and columns from key to key.

    >>> round(uniform_nonlocality((14, 14)), 6)
    7.280764
    """
    return grid_distances(hw_shape, key_shape, key_step).double().mean().item()

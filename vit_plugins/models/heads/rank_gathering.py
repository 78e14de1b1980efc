"""Gather the rows of all ranks in rank order, also if ranks have different numbers of rows."""

import torch
import torch.distributed as torch_dist
from mmengine.dist import get_dist_info
from torch import Tensor


def gather_sizes(rows: Tensor) -> list[int]:
    """Return how many rows each rank has.

    Args:
        rows: The rows of this rank, (n, ...).
    """
    _, world_size = get_dist_info()
    if world_size == 1:
        return [len(rows)]
    own = torch.tensor([len(rows)], device=rows.device)
    sizes = [torch.zeros_like(own) for _ in range(world_size)]
    torch_dist.all_gather(sizes, own)
    return torch.cat(sizes).tolist()


@torch.no_grad()
def gather_rows(rows: Tensor, sizes: list[int]) -> Tensor:
    """Join the rows of all ranks, without gradient.

    Args:
        rows: The rows of this rank, (n, ...).
        sizes: The result of :func:`gather_sizes`.

    Returns:
        Shape (Σn, ...), the same on every rank.
    """
    if len(sizes) == 1:
        return rows.detach()
    # all_gather needs equal shapes: pad, then trim.
    padded = rows.new_zeros(max(sizes), *rows.shape[1:])
    padded[: len(rows)] = rows
    parts = [torch.empty_like(padded) for _ in sizes]
    torch_dist.all_gather(parts, padded)
    return torch.cat([part[:size] for part, size in zip(parts, sizes, strict=True)])


class _GatherWithGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx, rows: Tensor, sizes: list[int]) -> Tensor:
        ctx.sizes = sizes
        return gather_rows(rows, sizes)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None]:
        gradient = gradient.clone(memory_format=torch.contiguous_format)
        torch_dist.all_reduce(gradient)
        return gradient.split(ctx.sizes)[torch_dist.get_rank()], None


def gather_rows_with_gradient(rows: Tensor, sizes: list[int]) -> Tensor:
    """Join the rows of all ranks; the gradient of a row is the sum of its gradients on all ranks.

    Every rank must run backward through it.

    Args:
        rows: The rows of this rank, (n, ...).
        sizes: The result of :func:`gather_sizes`.

    Returns:
        Shape (Σn, ...), the same on every rank.
    """
    return rows if len(sizes) == 1 else _GatherWithGradient.apply(rows, sizes)

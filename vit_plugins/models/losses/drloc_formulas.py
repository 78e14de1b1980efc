"""The formulas of dense relative localization, as pure functions.

Liu et al., "Efficient Training of Visual Transformers with Small Datasets", NeurIPS 2021,
arXiv 2106.03746, section 4. ``preset`` chooses the formula: ``'paper'`` is that of the text,
``'official'`` that of the released code.
"""

import torch
from torch import Tensor


def sample_pairs(
    num_pairs: int,
    h: int,
    w: int,
    batch: int,
    device: torch.device | str | None = None,
    generator: torch.Generator | None = None,
    exclude_identical: bool = False,
) -> Tensor:
    """Sample pairs of grid cells uniformly, with replacement, for each image.

    Args:
        num_pairs: Pairs per image, m.
        h: Rows of the grid.
        w: Columns of the grid.
        batch: Images, B.
        device: The device that samples; no value is copied between host and device.
        generator: Random stream, on ``device``; the global one if None.
        exclude_identical: Never pair a cell with itself.

    Returns:
        Cell numbers ``row * w + column``, int64 of shape (B, m, 2).

    Raises:
        ValueError: If identical cells are excluded on a grid of one cell.
    """
    cells, shape = h * w, (batch, num_pairs)
    if not exclude_identical:
        return torch.randint(cells, (*shape, 2), device=device, generator=generator)
    if cells < 2:
        raise ValueError(f'a {h}x{w} grid has no two different cells; set exclude_identical=False')
    first = torch.randint(cells, shape, device=device, generator=generator)
    step = torch.randint(1, cells, shape, device=device, generator=generator)
    return torch.stack((first, (first + step) % cells), dim=-1)


def gather_pairs(grid: Tensor, pairs: Tensor) -> Tensor:
    """Read the two tokens of each pair, side by side.

    Args:
        grid: Tokens of shape (B, D, H, W).
        pairs: Cell numbers of shape (B, m, 2), see :func:`sample_pairs`.

    Returns:
        Tensor: ``[first; second]`` of shape (B·m, 2D).
    """
    b, d, h, w = grid.shape
    tokens = grid.flatten(2).transpose(1, 2).reshape(b * h * w, d)  # (B·H·W, D)
    start = torch.arange(b, device=pairs.device).view(b, 1, 1) * (h * w)
    return tokens.index_select(0, (pairs + start).flatten()).reshape(-1, 2 * d)  # (B·m, 2D)


def pair_offsets(pairs: Tensor, w: int) -> Tensor:
    """Compute signed offsets ``(row - row', column - column')`` of pairs on a grid.

    Args:
        pairs: Cell numbers of shape (B, m, 2).
        w: Columns of the grid.

    Returns:
        Tensor: int64 of shape (B·m, 2).
    """
    cells = torch.stack((pairs // w, pairs % w), dim=-1)  # (B, m, 2 ends, 2 axes)
    return (cells[:, :, 0] - cells[:, :, 1]).flatten(0, 1)  # (B·m, 2)


def relative_targets(
    offsets: Tensor, h: int, w: int, preset: str = 'paper', signed: bool = False
) -> Tensor:
    """Compute regression targets (t_u, t_v) of offsets, always in fp32.

    Args:
        offsets: Signed cell offsets of shape (n, 2).
        h: Rows of the grid.
        w: Columns of the grid.
        preset: ``'paper'`` divides by H and W; ``'official'`` keeps cells, and shifts signed
            offsets by H-1 and W-1 so that they start at 0.
        signed: Keep the sign (the paper's L*).

    Returns:
        Tensor: float32 of shape (n, 2).
    """
    rows, cols = (offsets if signed else offsets.abs()).float().unbind(-1)
    if preset == 'paper':
        rows, cols = rows / h, cols / w
    elif signed:
        rows, cols = rows + (h - 1), cols + (w - 1)
    return torch.stack((rows, cols), dim=-1)


def offsets_of_targets(
    targets: Tensor, h: int, w: int, preset: str = 'paper', signed: bool = False
) -> Tensor:
    """Return the offsets in cells for regression targets.

    This is the inverse of :func:`relative_targets`, also for predictions between targets.

    Args:
        targets: Targets or predictions of shape (n, 2).
        h: Rows of the grid.
        w: Columns of the grid.
        preset: ``'paper'`` or ``'official'``.
        signed: Whether they keep the sign.

    Returns:
        Tensor: Offsets (rows, columns) of shape (n, 2).
    """
    if preset == 'paper':
        return targets * targets.new_tensor([h, w])
    return targets - targets.new_tensor([h - 1, w - 1]) if signed else targets


def expected_class(logits: Tensor, mode: str) -> Tensor:
    """Return the class of scores: the most probable one, or the mean of their distribution.

    Args:
        logits: Class scores of shape (n, C).
        mode: ``'ce'`` takes the most probable class; ``'reg'`` the mean μ of the distribution.

    Returns:
        Tensor: float of shape (n,).
    """
    if mode == 'ce':
        return logits.argmax(-1).to(logits.dtype)
    values = torch.arange(logits.shape[-1], device=logits.device, dtype=logits.dtype)
    return logits.softmax(-1) @ values


def lowest_class(k: int, preset: str = 'paper', signed: bool = True) -> int:
    """Return the smallest offset that has a class on an axis of ``k`` cells.

    Args:
        k: Cells along the axis.
        preset: ``'paper'`` has classes -k..k, of which ±k never occur.
        signed: Only for ``'official'``: classes -(k-1)..k-1, else 0..k-1.
    """
    if preset == 'paper':
        return -k
    return 1 - k if signed else 0


def count_classes(k: int, preset: str = 'paper', signed: bool = True) -> int:
    """Count the offset classes on an axis of ``k`` cells: 2k+1 (paper), 2k-1 or k (official).

    Args:
        k: Cells along the axis.
        preset: ``'paper'`` or ``'official'``.
        signed: Only for ``'official'``.
    """
    return (k if preset == 'paper' else k - 1) - lowest_class(k, preset, signed) + 1


def l1_loss(pred: Tensor, target: Tensor, preset: str = 'paper') -> Tensor:
    """Compute the L1 distance, summed (paper) or averaged (official) over both axes.

    Args:
        pred: Predictions of shape (n, 2).
        target: Targets of shape (n, 2).
        preset: ``'paper'`` or ``'official'``.

    Returns:
        Tensor: Mean over the n pairs; 0 with a gradient path if n is 0.
    """
    axes = 1 if preset == 'paper' else 2
    return (pred - target).abs().sum() / (axes * max(len(pred), 1))


def ce_loss(logits: Tensor, classes: Tensor) -> Tensor:
    """Compute the mean cross entropy of one axis (the paper's L^ce is the sum of two).

    Args:
        logits: Class scores of shape (n, C).
        classes: Class numbers of shape (n,).

    Returns:
        Tensor: Scalar; 0 with a gradient path if n is 0.
    """
    # gather, unlike NLLLoss, is documented to be deterministic on CUDA.
    log_prob = logits.log_softmax(dim=-1).gather(1, classes[:, None])  # (n, 1)
    return -log_prob.sum() / max(len(logits), 1)


def reg_loss(
    logits: Tensor, classes: Tensor, variance_weight: float = 0.002, min_variance: float = 1e-3
) -> Tensor:
    """Compute the variance-aware regression of one axis: the mean of (c - μ)²/σ² + α log σ.

    μ and σ² are those of the softmax distribution over classes (the paper's L^reg is the sum
    of two axes).

    Args:
        logits: Class scores of shape (n, C).
        classes: Class numbers of shape (n,).
        variance_weight: α.
        min_variance: Lower bound of σ²; without it a confident wrong guess costs more than 1e8.

    Returns:
        Tensor: Scalar; 0 with a gradient path if n is 0.
    """
    prob = logits.softmax(dim=-1)
    values = torch.arange(logits.shape[-1], device=logits.device, dtype=logits.dtype)
    mean = (prob * values).sum(-1, keepdim=True)  # (n, 1)
    variance = (prob * (values - mean).square()).sum(-1).clamp(min=min_variance)  # (n,)
    error = (classes - mean.squeeze(-1)).square() / variance
    return (error + 0.5 * variance_weight * variance.log()).sum() / max(len(logits), 1)


def pool_to_grid(grid: Tensor, size: tuple[int, int]) -> Tensor:
    """Average-pool a map to a size, as ``adaptive_avg_pool2d``, with deterministic gradients.

    Args:
        grid: Map of shape (B, D, H, W).
        size: Wanted rows and columns.

    Returns:
        Tensor: Map of shape (B, D, *size).

    Raises:
        ValueError: If the map is smaller, because copies of a cell have no offset to learn.
    """
    h, w = grid.shape[-2:]
    if (h, w) == tuple(size):
        return grid
    if h < size[0] or w < size[1]:
        raise ValueError(
            f'the {h}x{w} token grid is smaller than grid_size {size[0]}x{size[1]}; '
            'choose a smaller grid_size or larger images'
        )
    # On CUDA the built-in one raises under use_deterministic_algorithms; two products do not.
    rows = _averaging_matrix(h, size[0], grid)
    cols = _averaging_matrix(w, size[1], grid)
    return rows @ grid @ cols.T


def _averaging_matrix(full: int, bins: int, like: Tensor) -> Tensor:
    """Build the (bins, full) matrix whose row i averages cells floor(i·f/b)..ceil((i+1)·f/b)-1."""
    start = torch.arange(bins, device=like.device) * full // bins
    stop = -(-torch.arange(1, bins + 1, device=like.device) * full // bins)
    cell = torch.arange(full, device=like.device)
    inside = ((cell >= start[:, None]) & (cell < stop[:, None])).to(like.dtype)
    return inside / inside.sum(-1, keepdim=True)

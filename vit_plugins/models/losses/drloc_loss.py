"""Dense relative localization: predict the offset between two tokens from their content.

Liu et al., "Efficient Training of Visual Transformers with Small Datasets", NeurIPS 2021,
arXiv 2106.03746, section 4.
"""

import contextlib
import itertools
import warnings
from collections.abc import Callable

import torch
from mmengine.model import BaseModule
from mmengine.utils import to_2tuple
from mmpretrain.registry import MODELS
from torch import Tensor, nn

from .._number_checks import check_sizes
from .drloc_formulas import (
    ce_loss,
    count_classes,
    expected_class,
    gather_pairs,
    l1_loss,
    lowest_class,
    offsets_of_targets,
    pair_offsets,
    pool_to_grid,
    reg_loss,
    relative_targets,
    sample_pairs,
)

PRESETS = ('paper', 'official')
MODES = ('l1', 'ce', 'reg')


def _pooling(pool: int | tuple[int, int, int] | None) -> nn.Module:
    if pool is None:
        return nn.Identity()
    if isinstance(pool, int):
        return nn.AvgPool2d(pool)
    return nn.AvgPool2d(*pool, count_include_pad=False)


@MODELS.register_module()
class DRLocLoss(BaseModule):
    """Dense relative localization loss, with the small MLP that it trains.

    It samples pairs of tokens of each image, predicts their offset from the two tokens, and
    compares it with the true one. It takes the tokens of any model as a (B, D, H, W) map, square
    or not, without class token::

        drloc = MODELS.build(dict(type='DRLocLoss', in_channels=384, loss_weight=0.1))
        tokens = vit(images)[:, 1:]  # (B, N, D), N = h * w
        grid = tokens.transpose(1, 2).reshape(-1, 384, h, w)
        loss = classification_loss + drloc(grid)

    Optimise the parameters of the loss together with those of the model.

    The pairs come from the global random stream. Sample them last in a step, as
    :class:`DRLocHead` does, and set the stream before each step, as :class:`SeededDrawsHook` does:
    then a run without the loss drops out the same units. The initial weights do not change the
    stream.

    The presets differ in scale. ``'paper'`` follows the text: targets |Δ|/k per axis (k = H
    or W), L1 norm summed over both axes, 2k+1 classes. ``'official'`` follows what the
    released code computes: raw |Δ|, or Δ+k-1 if signed, mean over the axes; k classes, 2k-1
    if signed. (The released code has 14 and 27 classes for all nets except Swin, although some
    classes never occur on most grids, and no lower bound of the variance.) The published weights
    are 0.5 for
    Swin and 0.1 for T2T-ViT and CvT; they were run on ``'official'`` targets, where 0.5 at k = 7
    equals 1.75 under ``'paper'`` and 0.1 equals 0.35. In general it is k/2 times the weight, 2.0
    and 0.4 at k = 8: ``weight_in_cells=True`` multiplies by it on any grid, so that under
    ``'paper'`` the published weights are as strong as they were run.

    Args:
        in_channels: Width D of the tokens.
        preset: ``'paper'`` or ``'official'``.
        mode: ``'l1'`` regression; ``'ce'`` classification of the offset; ``'reg'``
            variance-aware regression from the class distribution.
        signed: Signed offsets instead of their absolute value. None means what the preset
            uses: absolute, except for the classes of the paper, which are always signed.
        num_pairs: Pairs per image, m.
        loss_weight: Factor λ of the returned loss.
        weight_in_cells: ``loss_weight`` weighs the mean distance in cells of the grid, as in the
            released code, not the paper's sum of distances in sides of the grid: under
            ``'paper'`` it is multiplied by (H + W) / 4 of the (pooled) grid, k/2 on a square.
        grid_size: Average-pool the tokens to this grid first (the papers use 7x7). The class
            modes need it, as their number of outputs depends on it.
        pool: Average-pool by kernel, before ``grid_size``: ``2`` is the paper's 2x2, ``(3, 2,
            1)`` (kernel, stride, padding) the one of the released code for 14x14 grids.
        hidden_dims: Widths of the hidden layers.
        exclude_identical: Never pair a cell with itself.
        variance_weight: α of ``mode='reg'``.
        min_variance: Lower bound of σ² in ``mode='reg'`` (the released code adds 1e-8, which
            explodes on a confident wrong guess).
        init_cfg: Initialisation; None is TruncNormal with std 0.02, as in the released Swin and
            T2T-ViT. An empty list keeps that of PyTorch, as in the released CvT, ViT and ResNet.

    Raises:
        ValueError: If an argument is out of range or arguments contradict each other.
    """

    def __init__(
        self,
        in_channels: int,
        preset: str = 'paper',
        mode: str = 'l1',
        signed: bool | None = None,
        num_pairs: int = 64,
        loss_weight: float = 0.5,
        weight_in_cells: bool = False,
        grid_size: int | tuple[int, int] | None = None,
        pool: int | tuple[int, int, int] | None = None,
        hidden_dims: tuple[int, ...] = (512, 512),
        exclude_identical: bool = False,
        variance_weight: float = 0.002,
        min_variance: float = 1e-3,
        init_cfg: dict | list | None = None,
    ) -> None:
        if init_cfg is None:
            init_cfg = dict(type='TruncNormal', layer='Linear', std=0.02)
        super().__init__(init_cfg)
        check_sizes(in_channels=in_channels, grid_size=grid_size, hidden_dims=hidden_dims)
        if preset not in PRESETS:
            raise ValueError(f'preset ({preset!r}) must be one of {PRESETS}')
        if mode not in MODES:
            raise ValueError(f'mode ({mode!r}) must be one of {MODES}')
        if not num_pairs >= 1:
            raise ValueError(f'num_pairs ({num_pairs}) must be at least 1')
        if not min_variance > 0:
            raise ValueError(f'min_variance ({min_variance}) is a divisor and must be positive')
        if mode != 'l1' and grid_size is None:
            raise ValueError(
                f'mode={mode!r} has one output per offset and needs a fixed grid: set grid_size'
            )
        paper_classes = preset == 'paper' and mode != 'l1'
        if paper_classes and signed is False:
            raise ValueError(
                f"signed=False: the paper's {mode!r} classes are signed offsets; leave signed "
                "unset or set preset='official'"
            )
        if weight_in_cells and (preset, mode) != ('paper', 'l1'):
            raise ValueError(
                f'weight_in_cells=True has no effect with preset={preset!r} and mode={mode!r}: '
                "'official' counts in cells already, classes have no length; leave it out"
            )
        self.in_channels = in_channels
        self.preset = preset
        self.mode = mode
        self.signed = paper_classes if signed is None else signed
        self.num_pairs = num_pairs
        self.loss_weight = loss_weight
        self.weight_in_cells = weight_in_cells
        self.grid_size = None if grid_size is None else to_2tuple(grid_size)
        self.pool = pool
        self.exclude_identical = exclude_identical
        self.variance_weight = variance_weight
        self.min_variance = min_variance
        self._warned = False
        self.pooling = _pooling(pool)
        with self._aside():
            self._build_mlp((2 * in_channels, *hidden_dims))

    def _build_mlp(self, dims: tuple[int, ...]) -> None:
        layers = []
        for d_in, d_out in itertools.pairwise(dims):
            layers += [nn.Linear(d_in, d_out), nn.ReLU(inplace=True)]
        if self.mode == 'l1':
            outputs = [2]
        else:
            outputs = [count_classes(k, self.preset, self.signed) for k in self.grid_size]
            if self.preset == 'official':
                layers.append(nn.Linear(dims[-1], dims[-1]))
        self.trunk = nn.Sequential(*layers)
        self.outputs = nn.ModuleList(nn.Linear(dims[-1], n) for n in outputs)

    def _aside(self) -> contextlib.AbstractContextManager:
        """Restore the global random streams, so that other weights start the same."""
        cuda = {p.device for p in self.parameters() if p.device.type == 'cuda'}
        return torch.random.fork_rng(devices=list(cuda))

    def apply(self, fn: Callable[[nn.Module], None]) -> 'DRLocLoss':
        """Apply ``fn`` to all sub-modules, as parents do to initialise their children.

        Args:
            fn: Function that may use random numbers; the global streams are restored.
        """
        with self._aside():
            return super().apply(fn)

    def forward(
        self,
        grid: Tensor,
        pairs: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Return the weighted loss.

        Args:
            grid: Tokens of shape (B, D, H, W).
            pairs: Fixed pairs, see :func:`sample_pairs`, on the pooled grid.
            generator: Random stream to sample pairs from, instead of the global one.

        Returns:
            Tensor: Scalar in fp32.
        """
        return self.weight_on(grid) * self.unweighted(grid, pairs, generator)

    def weight_on(self, grid: Tensor) -> float:
        """Return the factor of the unweighted loss on a grid, see ``weight_in_cells``.

        Args:
            grid: Tokens of shape (B, D, H, W).
        """
        if not self.weight_in_cells:
            return self.loss_weight
        h, w = self.grid_size or self.pooling(grid[:1, :1].detach()).shape[-2:]
        return self.loss_weight * (h + w) / 4

    def unweighted(
        self,
        grid: Tensor,
        pairs: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Return the loss before ``loss_weight``; arguments as in :meth:`forward`.

        Args:
            grid: Tokens of shape (B, D, H, W).
            pairs: Fixed pairs on the pooled grid.
            generator: Random stream to sample pairs from.

        Raises:
            ValueError: If ``grid`` or ``pairs`` have the wrong shape.
        """
        grid = self._pooled(grid)
        b, _, h, w = grid.shape
        if pairs is None:
            pairs = sample_pairs(
                self.num_pairs, h, w, b, grid.device, generator, self.exclude_identical
            )
        elif pairs.ndim != 3 or pairs.shape[0] != b or pairs.shape[2] != 2:
            raise ValueError(f'pairs {tuple(pairs.shape)} must have shape (B, m, 2) with B={b}')
        preds = self._outputs_for(grid, pairs)
        offsets = pair_offsets(pairs, w)
        if self.mode == 'l1':
            target = relative_targets(offsets, h, w, self.preset, self.signed)
            return l1_loss(preds[0], target, self.preset)
        if not self.signed:
            offsets = offsets.abs()
        return sum(
            self._class_loss(logits, offsets[:, axis] - lowest_class(k, self.preset, self.signed))
            for axis, logits, k in ((0, preds[0], h), (1, preds[1], w))
        )

    def _outputs_for(self, grid: Tensor, pairs: Tensor) -> list[Tensor]:
        """Return the MLP's outputs for pairs, (B·m, outputs) for each output layer.

        Everything after it is in fp32 even under autocast, which only affects the Linear layers.
        """
        hidden = self.trunk(gather_pairs(grid, pairs))  # (B·m, hidden)
        return [output(hidden).float() for output in self.outputs]

    def predict(self, grid: Tensor, pairs: Tensor) -> tuple[Tensor, Tensor]:
        """Predict the offsets of pairs, and return the true ones, too.

        Args:
            grid: Tokens of shape (B, D, H, W).
            pairs: Cell numbers on the pooled grid, see :func:`sample_pairs`, shape (B, m, 2).

        Returns:
            Predicted and true offsets (rows, columns) in cells of the pooled grid, shape (B·m, 2)
            each; both without sign unless the loss is ``signed``. From classes, ``'ce'`` takes the
            most probable one and ``'reg'`` the mean of the distribution.
        """
        grid = self._pooled(grid)
        h, w = grid.shape[-2:]
        preds = self._outputs_for(grid, pairs)
        true = pair_offsets(pairs, w)
        true = true if self.signed else true.abs()
        if self.mode == 'l1':
            return offsets_of_targets(preds[0], h, w, self.preset, self.signed), true
        predicted = [
            expected_class(logits, self.mode) + lowest_class(k, self.preset, self.signed)
            for logits, k in zip(preds, (h, w), strict=True)
        ]
        return torch.stack(predicted, dim=-1), true

    def pooled_size(self, grid: Tensor) -> tuple[int, int]:
        """Return the rows and columns of the grid that the loss uses.

        Args:
            grid: Tokens of shape (B, D, H, W).
        """
        return tuple(self._pooled(grid[:1]).shape[-2:])

    def _class_loss(self, logits: Tensor, classes: Tensor) -> Tensor:
        if self.mode == 'ce':
            return ce_loss(logits, classes)
        return reg_loss(logits, classes, self.variance_weight, self.min_variance)

    def _pooled(self, grid: Tensor) -> Tensor:
        if grid.ndim != 4 or grid.shape[1] != self.in_channels:
            raise ValueError(
                f'grid {tuple(grid.shape)} must have shape (B, D, H, W) with '
                f'D = in_channels ({self.in_channels})'
            )
        grid = self.pooling(grid)
        if self.grid_size is not None:
            grid = pool_to_grid(grid, self.grid_size)
        h, w = grid.shape[-2:]
        if 1 in (h, w) and not self._warned:
            self._warned = True
            warnings.warn(
                f'a {h}x{w} token grid has no offset to learn along an axis of one cell',
                stacklevel=2,
            )
        return grid

    def extra_repr(self) -> str:
        """Return the settings that the sub-modules do not print."""
        return (
            f'preset={self.preset}, mode={self.mode}, signed={self.signed}, '
            f'num_pairs={self.num_pairs}, loss_weight={self.loss_weight}, '
            f'weight_in_cells={self.weight_in_cells}, '
            f'grid_size={self.grid_size}, exclude_identical={self.exclude_identical}, '
            f'variance_weight={self.variance_weight}, min_variance={self.min_variance}'
        )

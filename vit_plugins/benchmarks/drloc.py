"""Time the dense relative localization loss, and its share of a training step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from mmpretrain.registry import MODELS
from torch import Tensor
from torch.nn import functional as F

from ..models.losses.drloc_formulas import sample_pairs
from ..models.losses.drloc_loss import DRLocLoss
from .comparison import Comparison, Side
from .setting import Setting

# (dims, grid, batch) of the loss alone; (arch, pixels, batch) of the training step
LOSSES = {
    'toy': ((16, 3, 2),),
    'cpu': ((384, 14, 64), (768, 7, 64)),
    'gpu': ((384, 14, 128), (768, 7, 128)),
    'large': ((768, 24, 128),),
    'scaling': ((384, 7, 64), (384, 14, 64), (384, 28, 64)),
}
STEPS = {
    'toy': (('tiny', 32, 2),),
    'cpu': (('small', 224, 8),),
    'gpu': (('small', 224, 128),),
    'large': (('base', 224, 64),),
    'scaling': tuple(('tiny', pixels, 8) for pixels in (112, 224, 336)),
}
PAIRS = 64
TOLERANCE = 1e-4  # the order of float32 sums differs


def cases(size: str) -> dict[str, dict[str, Any]]:
    """Return the name of each case and its arguments.

    Args:
        size: A size of :class:`Setting`.
    """
    found: dict[str, dict[str, Any]] = {
        f'DRLoc loss D={dims} grid {grid} x {grid}, batch {batch}': dict(
            kind='loss', width=dims, side=grid, batch=batch
        )
        for dims, grid, batch in LOSSES[size]
    }
    for arch, pixels, batch in STEPS[size]:
        name = f'DRLoc in a step of ConViT-{arch} {pixels} px, batch {batch}'
        found[name] = dict(kind='step', width=arch, side=pixels, batch=batch)
    return found


def build(setting: Setting, *, kind: str, width: int | str, side: int, batch: int) -> Comparison:
    """Return two forms of the loss, or a training step with and without it and the loss alone.

    Args:
        setting: Device and precision.
        kind: 'loss' or 'step'.
        width: Width of a token, or the architecture of ConViT.
        side: Number of tokens, or pixels, along each side.
        batch: Number of images in a call.
    """
    if kind == 'loss':
        return _compare_losses(setting, width, side, batch)
    return _compare_steps(setting, width, side, batch)


def _compare_losses(setting: Setting, dims: int, grid: int, batch: int) -> Comparison:
    """Compare our loss, gathered at once, with a loop over images, on the same pairs."""
    loss = DRLocLoss(dims, preset='official', num_pairs=PAIRS).to(setting.device)
    tokens = torch.randn(batch, dims, grid, grid, device=setting.device)
    pairs = sample_pairs(PAIRS, grid, grid, batch, setting.device)
    forms = {'ours': lambda x: loss.unweighted(x, pairs), 'loop': lambda x: loop(loss, x, pairs)}
    sides = {}
    for name, form in forms.items():
        step = _with_gradients(form, loss, tokens, setting)
        sides[name] = Side(step, step, loss)
    name = f'DRLoc loss D={dims} grid {grid} x {grid}, batch {batch}'
    tolerance = TOLERANCE if setting.dtype == 'fp32' else 5e-2
    return Comparison(name, sides, tolerance, images=batch)


def loop(loss: DRLocLoss, grid: Tensor, pairs: Tensor) -> Tensor:
    """Compute the loss with a loop that reads the tokens of each image and then joins them.

    Args:
        loss: The loss with the MLP; it has the preset 'official'.
        grid: Tokens (B, D, H, W).
        pairs: Cell numbers (B, m, 2).
    """
    width = grid.shape[-1]
    firsts, seconds = [], []
    for image, cells in zip(grid, pairs, strict=True):
        rows, columns = cells // width, cells % width  # (m, 2)
        firsts.append(image[:, rows[:, 0], columns[:, 0]].T)  # (m, D)
        seconds.append(image[:, rows[:, 1], columns[:, 1]].T)
    joined = torch.cat([torch.stack(firsts), torch.stack(seconds)], dim=2)  # (B, m, 2D)
    predicted = loss.outputs[0](loss.trunk(joined)).float()  # (B, m, 2)
    cells = torch.stack([pairs // width, pairs % width], dim=-1)  # (B, m, 2 ends, 2 axes)
    return F.l1_loss(predicted, (cells[:, :, 0] - cells[:, :, 1]).abs().float())


def _with_gradients(
    form: Callable[[Tensor], Tensor], loss: DRLocLoss, tokens: Tensor, setting: Setting
) -> Callable[[], list[Tensor]]:
    def step() -> list[Tensor]:
        loss.zero_grad(set_to_none=True)
        x = tokens.detach().requires_grad_()
        with setting.autocast():
            value = form(x)
        value.backward()
        return [value, x.grad, loss.outputs[0].weight.grad]

    return step


def _compare_steps(setting: Setting, arch: str, pixels: int, batch: int) -> Comparison:
    """Compare steps; 'loss alone' is forward and backward pass of the loss on given tokens."""
    backbone = dict(type='mmpretrain.ConViT', arch=arch, img_size=pixels)
    model = MODELS.build(backbone | dict(out_type='raw')).to(setting.device).train()
    images = torch.randn(batch, 3, pixels, pixels, device=setting.device)
    with torch.no_grad(), setting.autocast():
        tokens = _grid(model(images)[-1], pixels // 16)
    loss = DRLocLoss(tokens.shape[1], num_pairs=PAIRS, loss_weight=0.1).to(setting.device)

    def step(weight: float) -> None:
        model.zero_grad(set_to_none=True)
        loss.zero_grad(set_to_none=True)
        with setting.autocast():
            out = model(images)[-1]
            value = out[:, 0].float().square().mean()  # class token, as in a classifier
            if weight:
                value = value + weight * loss(_grid(out, pixels // 16))
        value.backward()

    about = 'the same step without the loss'
    alone = 'forward and backward pass of the loss, its share of the step is the ratio'
    sides = {
        'ours': Side(lambda: step(1.0), lambda: []),
        'without': Side(lambda: step(0.0), about=about),
        'loss alone': Side(_with_gradients(loss, loss, tokens, setting), about=alone),
    }
    name = f'DRLoc in a step of ConViT-{arch} {pixels} px, batch {batch}'
    return Comparison(name, sides, TOLERANCE, images=batch)


def _grid(tokens: Tensor, side: int) -> Tensor:
    """Return the tokens without the class token, (B, N, D), as a map (B, D, H, W)."""
    return tokens[:, 1:].transpose(1, 2).reshape(len(tokens), -1, side, side)

"""Choose settings that a machine can train in the available time."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.dist import broadcast_object_list, is_main_process
from mmengine.registry import DefaultScope
from mmpretrain.registry import MODELS
from torch import Tensor
from torch.nn import Module

from ..config_edits.walking import image_size, preprocessor_of

WARM = 2  # training steps that are not measured, as the first are slow
MEASURED = 3
ON_CPU = 16  # images of a measured step: more images take longer in proportion


def largest_step(
    steps: Sequence[Mapping[str, Any]],
    epochs_of: Callable[[Mapping[str, Any]], float],
    least_epochs: int,
) -> tuple[dict[str, Any], float]:
    """Return the slowest settings with which a training sees its images often enough.

    If all settings are too slow, the first is returned. Settings after one that is too slow are
    not tried. On several ranks the first rank decides for all.

    Args:
        steps: Settings of a recipe, from the fastest to the slowest.
        epochs_of: Returns how often a training with such settings sees each image.
        least_epochs: How often it must see them.

    Returns:
        The settings and their number of epochs.
    """
    found = (dict(steps[0]), 0.0)
    for step in steps if is_main_process() else ():
        epochs = epochs_of(step)
        if step is steps[0] or epochs >= least_epochs:
            found = (dict(step), epochs)
        if epochs < least_epochs:
            break
    shared = [found]
    broadcast_object_list(shared)
    return shared[0]


def seconds_of_step(cfg: Config, batch_size: int) -> float:
    """Measure how long the backbone takes for a training step, without the optimizer.

    A CPU measures a smaller batch, so that this takes only seconds on any machine.

    Args:
        cfg: The config of a classifier.
        batch_size: Number of images in the step.
    """
    side = image_size(cfg)
    height, width = (side, side) if isinstance(side, int) else side
    measured = min(batch_size, ON_CPU) if get_device() == 'cpu' else batch_size
    channels = len(preprocessor_of(cfg).get('mean') or (0, 0, 0))
    with DefaultScope.overwrite_default_scope('mmpretrain'), torch.random.fork_rng():
        backbone = MODELS.build(cfg.model.backbone).to(get_device()).train()
        pixels = torch.rand(measured, channels, height, width).to(get_device())
    for _ in range(WARM):
        _train_step(backbone, pixels)
    before = time.perf_counter()
    for _ in range(MEASURED):
        _train_step(backbone, pixels)
    return (time.perf_counter() - before) / MEASURED * batch_size / measured


def _train_step(backbone: Module, pixels: Tensor) -> None:
    features = backbone(pixels)[-1]
    features.float().square().mean().backward()
    if pixels.is_cuda:
        torch.cuda.synchronize()
    elif pixels.device.type == 'mps':
        torch.mps.synchronize()

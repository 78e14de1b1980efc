"""Measure photos per second of the networks of ``configs/pretrained_models.yml``."""

from __future__ import annotations

from typing import Any

import torch
from mmengine.registry import DefaultScope
from mmpretrain.registry import MODELS
from torch import Tensor

from ..config_edits.backbone_by_name import encoder_config, find_encoder
from ..weights.pretrained_models import pretrained_models
from .comparison import Comparison, Side
from .setting import Setting

BATCHES = {'toy': 1, 'cpu': 16, 'gpu': 128, 'large': 256, 'scaling': 32}
TOLERANCE = 1e-3  # not used: there is only one side


def cases(size: str) -> dict[str, dict[str, Any]]:
    """Return the name of each case and its arguments.

    Args:
        size: A size of :class:`Setting`.
    """
    rows = list(pretrained_models().values())
    chosen = rows[:1] if size == 'toy' else rows
    return {
        f'{row.name} {row.size} px': dict(name=row.name, pixels=row.size, batch=BATCHES[size])
        for row in chosen
    }


def build(setting: Setting, *, name: str, pixels: int, batch: int) -> Comparison:
    """Return the network with random weights, which cost the same as trained ones.

    Args:
        setting: Device and precision.
        name: Name of the model.
        pixels: Height and width of the images.
        batch: Number of images in a call.
    """
    backbone, neck, _ = encoder_config(find_encoder(name), pixels)
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        parts = [MODELS.build(part) for part in (backbone, neck) if part]
    for part in parts:
        part.to(setting.device).eval()
    images = torch.randn(batch, 3, pixels, pixels, device=setting.device)

    def encode() -> Tensor:
        found: Any = images
        with torch.inference_mode(), setting.autocast():
            for part in parts:
                found = part(found)
        return found[-1]

    side = Side(encode, lambda: [encode()], parts[0])
    return Comparison(f'{name} {pixels} px', {'ours': side}, TOLERANCE, images=batch)

"""Advise users without a GPU before they train a large network."""

from __future__ import annotations

import argparse
import os
import shlex

from mmengine.config import Config
from mmengine.device import get_device

from ...config_edits.frozen import is_frozen
from ...config_edits.walking import type_name
from ...fileio.duration import duration
from ...weights.pretrained_models import default_for_frozen, pretrained_models

BACKWARD = 3  # a training step costs as much as this many predictions
FROZEN = 'photos-frozen'


def cpu_advice(cfg: Config, args: argparse.Namespace, images: int) -> str | None:
    """Return how long it takes to fine-tune a trained network, and what is faster.

    The times are rough: they come from the table of pretrained models and were measured on
    another machine. During the training, the forecast uses its own steps.

    Args:
        cfg: The complete config.
        args: The arguments of the tool that trains.
        images: Number of training images.

    Returns:
        None with a GPU, for recipes with a fixed backbone, and for a frozen backbone.
    """
    if get_device() != 'cpu' or not cfg.get('backbone_follows') or is_frozen(cfg):
        return None
    if args.data_root is None or args.resume is not None:
        return None
    table = pretrained_models()
    fast = table[default_for_frozen()]
    cores = os.cpu_count() or 1
    encoding = images / (fast.photos_per_second * cores)
    told = f'No GPU here, {cores} cores: '
    if row := table.get(args.pretrained or cfg.get('default_weights')):
        epochs = cfg.train_cfg.max_epochs
        training = BACKWARD * epochs * images / (row.photos_per_second * cores)
        told += f'{epochs} epochs of {images:,} photos take roughly {duration(training)}'
        limits = [
            h.seconds for h in cfg.get('custom_hooks') or () if type_name(h) == 'TimeBudgetHook'
        ]
        if limits and training > limits[0]:
            told += f', {duration(limits[0])} is what there is: fewer epochs will be trained'
        told += '. '
    folder = shlex.quote(str(args.data_root))
    return (
        f'{told}Features that are computed once take roughly {duration(encoding)}: '
        f'vit-plugins train {FROZEN} --data-root {folder}'
    )

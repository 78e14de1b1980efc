"""Build the model of a config with trained weights: for photos, probes and comparisons."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.model import BaseModel
from mmengine.runner import CheckpointLoader
from mmpretrain import get_model

from ..fileio.quiet_log import without_information
from ..weights.loading import load_weights


def load_trained(
    cfg: Config,
    checkpoint: str | Path | None,
    device: str | None = None,
    *,
    may_differ: Sequence[str] = (),
    prepare: Callable[[BaseModel], None] | None = None,
) -> tuple[BaseModel, dict[str, Any]]:
    """Build a trained model; its data need not be available.

    Args:
        cfg: The config.
        checkpoint: The file of its weights. None stands for the weights that a training would
            start from: those that the config names, or else random ones by its seed.
        device: Where to run. Default: a GPU if there is one.
        may_differ: Beginnings of the names of weights that need not fit, such as ``'head.'``.
        prepare: Called with the model before a checkpoint is loaded, to refuse the model or to
            remove some of its modules.

    Returns:
        The model in evaluation mode, and the meta data of the checkpoint.

    Raises:
        CheckpointMismatchError: If the checkpoint does not fit the config; the host would continue
            with random weights in a new layer.
        ValueError: If the device does not exist.
    """
    device = _usable(device or ('cuda' if torch.cuda.is_available() else 'cpu'))
    if checkpoint is None:
        torch.manual_seed((cfg.get('randomness') or {}).get('seed') or 0)
    for_host = cfg.copy()
    if not for_host.get('test_dataloader'):
        for_host.pop('test_dataloader', None)  # the host looks into one that is None
    with without_information():
        model = get_model(for_host, pretrained=False, device=device)
    if checkpoint is None:
        model.init_weights()
    if prepare is not None:
        prepare(model)
    if checkpoint is None:
        return model.eval(), {}
    content = CheckpointLoader.load_checkpoint(str(checkpoint), 'cpu', logger='silent')
    state = content if 'state_dict' in content else content.get('model', content)
    where = f'{checkpoint}, with {cfg.filename},' if cfg.filename else str(checkpoint)
    load_weights(model, state, where, may_differ)
    return model.eval(), content.get('meta', {})


def _usable(device: str) -> str:
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:  # torch without CUDA raises it
        told = str(error).splitlines()[0].split('. ')[0]
        raise ValueError(
            f'device {device!r} cannot be used: {told.rstrip(".")}. Name one that this machine '
            "has; 'cpu' is always there"
        ) from None
    return device

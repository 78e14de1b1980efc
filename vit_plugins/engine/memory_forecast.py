"""Forecast how much memory a training step will take."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from functools import partial
from typing import Any

import torch
from mmengine.runner import Runner
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from ..config_edits.walking import image_size
from ..weights.bare_model import bare_model

IMAGES = (2, 3)  # sent through the network: one is too few for batch norm
NUMBERS = 3  # besides each trained weight: its gradient and the two averages of Adam


def kept_bytes(call: Callable[[], Any], module: nn.Module | None = None) -> int:
    """Return the bytes that a forward pass keeps for the backward pass.

    Args:
        call: The forward pass, on any device.
        module: A module whose parameters are not counted.
    """
    parameters = module.parameters() if module is not None else ()
    known = {p.untyped_storage()._cdata for p in parameters}
    kept: dict[int, Tensor] = {}  # the tensors stay alive, so that no address is used twice

    def pack(tensor: Tensor) -> Tensor:
        address = tensor.untyped_storage()._cdata
        if address not in known:
            kept[address] = tensor
        return tensor

    with saved_tensors_hooks(pack, lambda tensor: tensor):
        call()
    return sum(tensor.untyped_storage().nbytes() for tensor in kept.values())


def activation_bytes(backbone: nn.Module, height: int, width: int, batch_size: int) -> int:
    """Return the bytes that a backbone keeps of a batch for the backward pass.

    A copy encodes two and then three black images, so that neither the backbone nor random streams
    change. What it keeps beside the images, such as joined weights, is the same in both.

    Args:
        backbone: The backbone, on any device.
        height: Height of the images.
        width: Width of the images.
        batch_size: Number of images in the batch.
    """
    copy = deepcopy(backbone)
    copy.train()
    device = next(copy.parameters()).device
    kept = []
    for number in IMAGES:
        images = torch.zeros(number, 3, height, width, device=device)
        # the same random numbers each time: a network may leave out layers by chance
        with torch.random.fork_rng([device] if device.type == 'cuda' else []):
            kept.append(kept_bytes(partial(copy, images), copy))
    return kept[0] + (batch_size - IMAGES[0]) * (kept[1] - kept[0])


def step_bytes(runner: Runner) -> int | None:
    """Forecast the memory of a training step: weights, gradients, optimizer and activations.

    The numbers are for the backbone in 32 bits. The head, the loaded images and the program
    itself come on top; mixed precision takes less.

    Args:
        runner: The runner of a training.

    Returns:
        Bytes on each device; None for a model without a backbone or with a frozen one, if the
        config does not give the image size, or if the backbone cannot encode black images.
    """
    model = bare_model(runner.model)
    backbone = getattr(model, 'backbone', None)
    batch_size = runner.train_dataloader.batch_size
    if backbone is None or not batch_size or not any(_trained(backbone)):
        return None
    try:
        size = image_size(runner.cfg)
    except ValueError:
        return None
    height, width = (size, size) if isinstance(size, int) else size
    try:
        activations = activation_bytes(backbone, height, width, batch_size)
    except Exception:  # any error of any backbone: a forecast must not end a training
        return None
    weights = sum(p.numel() * p.element_size() for p in model.parameters())
    return weights + NUMBERS * sum(_trained(model)) + activations


def _trained(module: nn.Module) -> list[int]:
    return [p.numel() * p.element_size() for p in module.parameters() if p.requires_grad]

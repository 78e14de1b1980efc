"""How much memory a training step will take, before there is one."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import torch
from mmengine.runner import Runner
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from ..config_edits.walking import image_size
from ..weights.bare_model import bare_model

IMAGES = 2  # that are sent through: one is too few for batch norm
NUMBERS = 3  # beside each trained weight: its gradient and the two averages of Adam


def kept_bytes(call: Callable[[], Any], module: nn.Module | None = None) -> int:
    """Return the bytes that a forward pass keeps for the backward pass.

    Args:
        call: The forward pass, on any device, the meta device included.
        module: Its parameters are not counted.
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


def activation_bytes(backbone: nn.Module, height: int, width: int) -> int | None:
    """Return the bytes that a backbone keeps of one image for the backward pass.

    Nothing is computed: shapes alone go through a copy on the meta device.

    Args:
        backbone: The backbone; it stays as it is.
        height: Of the image.
        width: Of the image.

    Returns:
        None of a backbone whose shapes depend on numbers.
    """
    copy = deepcopy(backbone).to('meta')
    copy.train()
    images = torch.empty(IMAGES, 3, height, width, device='meta')
    try:
        return kept_bytes(lambda: copy(images), copy) // IMAGES
    except (RuntimeError, NotImplementedError, TypeError, ValueError):
        return None


def step_bytes(runner: Runner) -> int | None:
    """Forecast the memory of a training step: weights, gradients, optimizer and activations.

    In 32 bits, of the backbone; the head, the images that are loaded and the program itself come
    on top, mixed precision takes less.

    Args:
        runner: The runner of a training.

    Returns:
        Bytes on each device; None if it cannot be forecast, or the backbone is frozen.
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
    activations = activation_bytes(backbone, height, width)
    if activations is None:
        return None
    weights = sum(p.numel() * p.element_size() for p in model.parameters())
    return weights + NUMBERS * sum(_trained(model)) + batch_size * activations


def _trained(module: nn.Module) -> list[int]:
    return [p.numel() * p.element_size() for p in module.parameters() if p.requires_grad]

"""Time crash-safe writing and safe reading of checkpoints against torch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from mmengine.logging import HistoryBuffer
from mmengine.runner import save_checkpoint
from mmpretrain.registry import MODELS
from torch import Tensor, nn

from ..fileio import atomic_backend  # noqa: F401  (registration)
from ..weights.safe_reading import load_checkpoint_file
from ..weights.torch_allow_list import RESTRICTED
from .comparison import Comparison, Side
from .setting import Setting

ARCHS = {
    'toy': ('toy',),
    'cpu': ('tiny',),
    'gpu': ('tiny', 'small'),
    'large': ('base',),
    'scaling': ('tiny', 'small', 'base'),
}
TOY = dict(embed_dims=16, num_layers=2, num_heads=4, feedforward_channels=32)
STEPS = 1000  # the checkpoint has the losses of these steps, as the host's have


def cases(size: str) -> dict[str, dict[str, Any]]:
    """Return the name of each case and its arguments.

    Args:
        size: A size of :class:`Setting`.
    """
    return {
        f'checkpoint of ConViT-{arch} {way}': dict(arch=arch, way=way)
        for arch in ARCHS[size]
        for way in ('write', 'read')
    }


def build(setting: Setting, *, arch: str, way: str) -> Comparison:
    """Return the ways to write, or to read, a checkpoint with AdamW's state.

    Args:
        setting: Not used: files are written from the memory of the CPU.
        arch: 'toy', 'tiny', 'small' or 'base'.
        way: 'write' or 'read'.
    """
    content = _checkpoint(arch)
    folder = TemporaryDirectory()
    path = Path(folder.name)
    torch.save(content, path / 'there.pth')

    def atomic() -> None:
        save_checkpoint(content, str(path / 'ours.pth'), backend_args={'backend': 'atomic'})

    def host() -> None:
        save_checkpoint(content, str(path / 'host.pth'))

    def plain() -> None:
        torch.save(content, path / 'torch.pth')

    def written(write: Callable[[], None], name: str) -> list[Tensor]:
        write()
        return _tensors(_torch_load(path / name))

    if way == 'write':
        sides = {
            'ours': Side(atomic, lambda: written(atomic, 'ours.pth')),
            'torch.save': Side(plain, lambda: written(plain, 'torch.pth')),
            'mmengine': Side(host, lambda: written(host, 'host.pth')),
        }
    else:
        readers: dict[str, Callable[[], Any]] = {
            'ours': lambda: load_checkpoint_file(path / 'there.pth'),
            'torch.load': lambda: _torch_load(path / 'there.pth'),
        }
        sides = {
            name: Side(read, lambda read=read: _tensors(read())) for name, read in readers.items()
        }
    return Comparison(f'checkpoint of ConViT-{arch} {way}', sides, tolerance=0.0, held=folder)


def _checkpoint(arch: str) -> dict[str, Any]:
    """Return model, optimizer and history as the host's runner saves them."""
    settings = (
        dict(arch=TOY, num_local_layers=1, img_size=32) if arch == 'toy' else dict(arch=arch)
    )
    model: nn.Module = MODELS.build(dict(type='mmpretrain.ConViT', **settings))
    optimizer = torch.optim.AdamW(model.parameters())
    for p in model.parameters():
        p.grad = torch.zeros_like(p)
    optimizer.step()
    history = HistoryBuffer([0.0] * STEPS, [1] * STEPS)
    return {
        'meta': {'epoch': 1, 'iter': STEPS},
        'state_dict': model.state_dict(),
        'optimizer': optimizer.state_dict(),
        'message_hub': {'log_scalars': {'train/loss': history}},
    }


def _torch_load(path: Path) -> dict[str, Any]:
    """Read a file written here with torch's reader; the restricted one of old torch refuses it."""
    return torch.load(path, weights_only=RESTRICTED)


def _tensors(checkpoint: dict[str, Any]) -> list[Tensor]:
    moments = checkpoint['optimizer']['state'].values()
    return [*checkpoint['state_dict'].values(), *(state['exp_avg'] for state in moments)]

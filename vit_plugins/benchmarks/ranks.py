"""Time training steps on one and on two ranks of a CPU: the cost of their exchange."""

from __future__ import annotations

from itertools import count
from tempfile import TemporaryDirectory
from typing import Any

import torch
import torch.distributed as torch_dist
from mmengine.model import MMDistributedDataParallel
from mmengine.optim import build_optim_wrapper
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample
from torch import multiprocessing

from ..config_edits.reading import read_config_file
from ..datasets.stacked_collate import stacked_collate
from ..engine.ranks import end_ranks
from ..resources import resource_root
from .comparison import Comparison, Side
from .setting import Setting

# (steps, images of all ranks in a step, ranks)
TOY = ((2, 8, 1), (2, 8, 2))
RUNS = ((40, 128, 1), (40, 128, 2))


def cases(size: str) -> dict[str, dict[str, Any]]:
    """Return the name of each case and its arguments.

    Args:
        size: A size of :class:`Setting`; all but 'toy' are the same.
    """
    return {
        _name(*row): dict(zip(('steps', 'images', 'ranks'), row, strict=True))
        for row in (TOY if size == 'toy' else RUNS)
    }


def _name(steps: int, images: int, ranks: int) -> str:
    return f'{steps} steps of {images} digits with the start of their processes, ranks: {ranks}'


def build(setting: Setting, *, steps: int, images: int, ranks: int) -> Comparison:
    """Return the steps of the digits recipe under DDP, with gloo; one rank needs no wrapper.

    Each call starts the ranks and waits for their end, so that its CPU time is that of all ranks.

    Args:
        setting: Not used: the ranks compute on the CPU, with a thread each.
        steps: Number of steps.
        images: Number of images of all ranks in a step.
        ranks: Number of ranks.
    """
    folder = TemporaryDirectory()
    calls = count()

    def call() -> None:
        address = f'file://{folder.name}/{next(calls)}'  # where the ranks of this call meet
        arguments = (address, ranks, steps, images // ranks)
        multiprocessing.start_processes(_train_rank, arguments, nprocs=ranks, start_method='fork')

    name = _name(steps, images, ranks)
    return Comparison(
        name, {'ours': Side(call, lambda: [])}, 0.0, images=steps * images, held=folder
    )


def _train_rank(rank: int, address: str, ranks: int, steps: int, images: int) -> None:
    torch.set_num_threads(1)
    cfg = read_config_file(resource_root() / 'configs' / 'convit_drloc_digits.py')
    model = MODELS.build({**cfg.model, 'data_preprocessor': cfg.data_preprocessor}).train()
    if ranks > 1:
        torch_dist.init_process_group('gloo', init_method=address, rank=rank, world_size=ranks)
        model = MMDistributedDataParallel(model, broadcast_buffers=False)
    optim_wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    batch = stacked_collate([_digit(index) for index in range(images)])
    for _ in range(steps):
        model.train_step(dict(batch), optim_wrapper)
    end_ranks()


def _digit(index: int) -> dict[str, Any]:
    sample = DataSample(metainfo={'img_shape': (16, 16)}).set_gt_label(index % 10)
    image = torch.full((3, 16, 16), index % 256, dtype=torch.uint8)
    return {'inputs': image, 'data_samples': sample}

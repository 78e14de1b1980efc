"""Run ``tools/prune.py`` after its arguments are read."""

from __future__ import annotations

import argparse
import copy
import sys
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from functools import partial
from statistics import median

import torch
from mmengine.config import Config
from mmengine.evaluator import Evaluator
from mmengine.model import BaseModel
from mmengine.registry import DefaultScope
from torch.utils.data import DataLoader

from ...benchmarks.measuring import time_in_turns
from ...benchmarks.setting import Setting
from ...config_edits.data_root import apply_data_root
from ...config_edits.dataset_by_name import apply_data
from ...config_edits.presence import require_data
from ...config_edits.reading import read_config_file
from ...config_edits.seen_photos import leave_out_seen
from ...config_edits.training_reading import reading_of_training
from ...datasets.trained_photos import trained_photos_beside
from ...fileio.printable_text import write_any_character
from ...inference.features import read_split
from ...inference.gate_pruning import PrunedHeads, evaluate_on, prune_gates
from ...inference.loading import load_trained
from ...weights.newest_checkpoint import find_trained, trained_classes


def read_config(args: argparse.Namespace) -> tuple[Config, str]:
    """Return the config of the model with the images that the arguments name, and the checkpoint.

    Args:
        args: The arguments of the tool.
    """
    path, checkpoint = find_trained(args.work_dir, args.config, args.checkpoint)
    print(f'config {path}, checkpoint {checkpoint}', file=sys.stderr)
    cfg = read_config_file(path)
    seen = trained_photos_beside(checkpoint)
    if args.data is not None:
        cfg = apply_data(cfg, args.data, trained=True, splits=('test',))
    if args.data_root is not None:
        found = reading_of_training(cfg, args.data_root)
        reading = {name: value for name, value in found.items() if value}
        if args.skip_unreadable:
            reading['skip_unreadable'] = True
        cfg = apply_data_root(
            cfg,
            args.data_root,
            verify=reading.get('skip_unreadable', False),
            data=args.data,
            classes=trained_classes(str(checkpoint)),
            trained_on=seen,
            **reading,
        )
    else:
        leave_out_seen(cfg, seen)
        require_data(cfg, ['test'])
    return cfg, str(checkpoint)


def time_models(models: Mapping[str, BaseModel], loader: DataLoader) -> tuple[dict, int]:
    """Return the median seconds of each backbone for a batch, in turns, and the batch size.

    Args:
        models: The models by name.
        loader: The dataloader; its first batch is used.
    """
    any_model = next(iter(models.values()))
    images = any_model.data_preprocessor(next(iter(loader)), False)['inputs']
    calls = {name: partial(model.backbone, images) for name, model in models.items()}
    setting = Setting(device=images.device.type, rounds=5, turn=0.5)
    with torch.no_grad():
        seconds = time_in_turns(calls, setting)
    return {name: median(turn.wall for turn in found) for name, found in seconds.items()}, len(
        images
    )


def as_table(heads: Sequence[PrunedHeads]) -> str:
    """Return a table of what the heads of each layer compute.

    Args:
        heads: The heads of each layer.
    """
    width = max(len(row.layer) for row in heads)
    lines = [f'{"heads of":{width}}  content  both  position']
    lines += [
        f'{row.layer:{width}}  {row.content:7}  {row.both:4}  {row.position:8}' for row in heads
    ]
    return '\n'.join(lines)


def run(args: argparse.Namespace) -> int:
    """Prune a model and print the loss of accuracy and the gain in speed.

    Args:
        args: The arguments of the tool.

    Raises:
        SystemExit: With a message, if the model cannot be pruned.
    """
    write_any_character()
    try:
        cfg, checkpoint = read_config(args)
        with redirect_stdout(sys.stderr):  # the host's log
            model, _ = load_trained(cfg, checkpoint, args.device)
            loader = read_split(cfg, 'test', skip_unreadable=args.skip_unreadable)
            pruned = copy.deepcopy(model)
            heads = prune_gates(pruned, args.threshold)
            with DefaultScope.overwrite_default_scope('mmpretrain'):
                evaluator = Evaluator(cfg.test_evaluator)
            before, after = (evaluate_on(m, loader, evaluator) for m in (model, pruned))
            seconds, count = time_models({'before': model, 'after': pruned}, loader)
    except (ValueError, OSError) as error:
        sys.exit(str(error))
    print(as_table(heads))
    for name, value in before.items():
        print(f'{name}: {value:.2f} before, {after[name]:.2f} after')
    first, second = (seconds[name] for name in ('before', 'after'))
    print(
        f'backbone on a batch of {count}: {first * 1e3:.1f} ms before, {second * 1e3:.1f} ms '
        f'after, {first / second:.2f} times as fast'
    )
    return 0

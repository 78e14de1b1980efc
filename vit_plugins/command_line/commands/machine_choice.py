"""Choose the image size and width of a recipe by the machine and the time."""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.dist import get_world_size, is_main_process
from mmengine.logging import print_log
from mmpretrain.registry import DATASETS

from ...config_edits.reading import read_config_file
from ...config_edits.recipe_variables import apply_options
from ...config_edits.walking import leaf_datasets, type_name
from ...engine.machine_step import largest_step, seconds_of_step
from ...fileio.duration import duration
from ...weights.newest_checkpoint import config_of


def machine_options(cfg: Config, args: argparse.Namespace) -> dict[str, Any] | None:
    """Return settings of the recipe that suit this machine, None if there is nothing to choose.

    A recipe switches this on by ``machine_steps = dict(steps=[...], least_epochs=N)``. The steps
    are values for variables of the recipe, from the fastest to the slowest. A resumed run keeps
    its settings. Nothing is chosen if the user sets one of these variables or the data, or sets
    the number of epochs but no time limit.

    Args:
        cfg: The complete config; its dataset is there, and ``machine_steps`` is removed.
        args: The arguments of the tool that trains.
    """
    ladder = cfg.pop('machine_steps', None)
    options = args.cfg_options or {}
    named = args.img_size is not None or args.data is not None
    if ladder is None or named or ladder.steps[0].keys() & options.keys():
        return None
    if args.resume is not None and (begun := options_of_run(cfg.work_dir, ladder.steps[0])):
        return begun
    hooks = cfg.get('custom_hooks') or ()
    seconds = [hook.seconds for hook in hooks if type_name(hook) == 'TimeBudgetHook']
    if not seconds:
        return None
    recipe, batch_size = read_config_file(args.config), cfg.train_dataloader.batch_size
    images = sum(len(DATASETS.build(d)) for d in leaf_datasets(cfg.train_dataloader.dataset))
    batches = math.ceil(images / batch_size / get_world_size())

    def epochs_of(step: dict[str, Any]) -> float:
        changed = apply_options(recipe, {**options, **step})
        return seconds[0] / batches / seconds_of_step(changed, batch_size)

    wanted = min(ladder.least_epochs, cfg.train_cfg.max_epochs)
    step, epochs = largest_step(ladder.steps, epochs_of, wanted)
    if is_main_process():
        words = ', '.join(f'{name} {value}' for name, value in step.items())
        print_log(
            f'Chosen for this machine: {words}, of which about {epochs:.0f} epochs fit into '
            f'{duration(seconds[0])}; --img-size chooses another size'
        )
    return step


def options_of_run(work_dir: str | Path, names: Iterable[str]) -> dict[str, Any] | None:
    """Return the settings with which the run in a folder began, None if there is no run.

    Args:
        work_dir: The folder.
        names: Names of variables of the recipe.
    """
    try:
        begun = read_config_file(config_of(work_dir))
    except FileNotFoundError:
        return None
    return {name: begun[name] for name in names if name in begun}

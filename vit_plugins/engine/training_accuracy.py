"""Measure the accuracy of a model on its training images."""

from __future__ import annotations

from copy import deepcopy

import numpy as np
import torch
from mmengine.runner import Runner

from ..config_edits.walking import uncached_dataset

SAMPLE = 500  # number of training images that are scored


def training_accuracy(runner: Runner) -> float | None:
    """Return the accuracy on training images, without augmentation, in percent.

    Args:
        runner: The runner of a training of one process.

    Returns:
        The accuracy; None if the datasets have no pipeline that could be exchanged. A loop that
        knows the accuracy on all images gives it as ``train_accuracy``.
    """
    known = getattr(runner.train_loop, 'train_accuracy', None)
    if known is not None:
        return known
    loader = deepcopy(runner.cfg.val_dataloader)
    train = deepcopy(uncached_dataset(runner.cfg.train_dataloader.dataset))
    held_out = uncached_dataset(loader.dataset)
    if 'pipeline' not in train or 'pipeline' not in held_out:
        return None
    count = len(runner.train_loop.dataloader.dataset)
    chosen = np.random.default_rng(0).permutation(count)[:SAMPLE]
    loader.dataset = {
        **train,
        'pipeline': held_out.pipeline,
        'indices': sorted(map(int, chosen)),
    }
    loader.num_workers, loader.persistent_workers = 0, False
    built = Runner.build_dataloader(loader, seed=0)
    runner.model.eval()
    right = total = 0
    with torch.no_grad():
        for batch in built:
            for sample in runner.model.val_step(batch):
                right += int(sample.gt_label) == int(sample.pred_label)
                total += 1
    return 100 * right / total

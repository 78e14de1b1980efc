"""Make a loader that reads the images of a split as evaluation does."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from .walking import leaf_datasets


def split_loader(cfg: Mapping[str, Any], split: str, evaluation: Mapping | None) -> dict[str, Any]:
    """Return a loader config that reads each image of a split once, as evaluation does.

    Args:
        cfg: The config of the run.
        split: The split of the dataset to read.
        evaluation: The loader config of the evaluation, which gives pipeline and batch size.

    Raises:
        ValueError: If the config has no such split, or no evaluation with a pipeline.
    """
    source = cfg.get(f'{split}_dataloader')
    evaluation = evaluation or cfg.get('test_dataloader')
    if not source or not evaluation:
        missing = f'{split}_dataloader' if not source else 'val_dataloader or test_dataloader'
        raise ValueError(
            f'the config has no {missing} to encode images of: choose another split, or take a '
            'config that has it'
        )
    dataset = deepcopy(source['dataset'])
    pipeline = leaf_datasets(evaluation['dataset'])[0]['pipeline']
    for leaf in leaf_datasets(dataset):
        leaf['pipeline'] = deepcopy(pipeline)
    kept = ('batch_size', 'num_workers', 'persistent_workers', 'pin_memory', 'collate_fn')
    return {
        **{name: deepcopy(evaluation[name]) for name in kept if name in evaluation},
        'dataset': dataset,
        'sampler': {'type': 'DefaultSampler', 'shuffle': False},
    }

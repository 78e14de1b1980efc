"""A loader of a split, with the pipeline of the evaluation."""

import pytest
from mmengine.config import Config

from vit_plugins.config_edits.split_loader import split_loader

PACK = [dict(type='PackInputs')]
FLIP = [dict(type='RandomFlip', prob=1.0), *PACK]


def test_loader_of_a_split_sees_it_as_evaluation_does():
    inner = dict(type='Digits', split='train', pipeline=FLIP)
    wrapped = dict(
        type='RepeatDataset', times=2, dataset=dict(type='ConcatDataset', datasets=[inner, inner])
    )
    cfg = Config(
        dict(
            train_dataloader=dict(batch_size=7, dataset=wrapped, sampler=dict(type='Other')),
            val_dataloader=dict(
                batch_size=5, drop_last=True, dataset=dict(dataset=inner | dict(pipeline=PACK))
            ),
        )
    )
    made = split_loader(cfg, 'train', cfg.val_dataloader)
    assert made['dataset']['dataset']['datasets'][1]['pipeline'] == PACK
    assert (made['batch_size'], made['sampler']) == (5, dict(type='DefaultSampler', shuffle=False))
    assert 'drop_last' not in made
    assert cfg.train_dataloader.dataset.dataset.datasets[0].pipeline == FLIP  # untouched
    with pytest.raises(ValueError, match='the config has no test_dataloader to encode'):
        split_loader(cfg, 'test', cfg.val_dataloader)
    with pytest.raises(ValueError, match='no val_dataloader or test_dataloader'):
        split_loader(cfg, 'train', None)

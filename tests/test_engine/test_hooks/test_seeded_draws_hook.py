"""A training that is interrupted and resumed, with workers or without, has the same weights."""

import copy
import itertools
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from checkpoint_entries import differing
from mmengine.config import Config
from mmpretrain.models import ImageClassifier
from mmpretrain.registry import DATASETS, HOOKS

from vit_plugins.datasets.seeds import seed_streams
from vit_plugins.engine.hooks import SeededDrawsHook
from vit_plugins.models.losses.drloc_formulas import sample_pairs

ROOT = Path(__file__).parents[3]


PARTS = ('state_dict', 'ema_state_dict', 'optimizer')  # of a checkpoint
M_PER_CLASS = dict(type='MPerClassSampler', batch_size=6, samples_per_class=2)
FAST = {
    'classifier': dict(custom_hooks=[dict(type='EMAHook', momentum=0.1)]),
    'steps': dict(by_iter=True),
    'retrieval': dict(model='RETRIEVER', sampler=M_PER_CLASS),
}
SLOW = {
    'steps, epochs that end': dict(by_iter=True, sampler=dict(type='DefaultSampler')),
    'retrieval, steps': dict(
        model='RETRIEVER', by_iter=True, sampler=M_PER_CLASS | dict(infinite=True)
    ),
    'balanced': dict(sampler=dict(type='ClassBalancedSampler')),
    'repeated': dict(sampler=dict(type='RepeatAugSampler')),
}
CASES = FAST | SLOW


def tiers(names):
    """Return the names as parameters, with those of ``SLOW`` marked as slow."""
    return [pytest.param(n, marks=[pytest.mark.slow] if n in SLOW else []) for n in names]


def configured(toy, name, *args, **kwargs):
    case = dict(CASES[name])
    case['model'] = getattr(toy, case.get('model', 'CLASSIFIER'))
    return toy.settings(*args, **case, **kwargs)


@pytest.mark.slow
@pytest.mark.parametrize('name', tiers(CASES))
def test_an_interrupted_run_ends_as_the_uninterrupted(toy, tmp_path, name):
    """The number of workers does not matter: one run has none, the other has two."""
    _, whole = toy.train(configured(toy, name, tmp_path / 'whole'))
    config = configured(toy, name, tmp_path / 'cut', workers=2)
    newest, _ = toy.train(config, interrupt=7)
    seed_streams(1)  # another process has another past
    _, resumed = toy.train(config, resume=newest)
    assert resumed['meta']['iter'] == whole['meta']['iter']
    assert differing(whole, resumed, PARTS) == []


def test_without_the_hook_it_does_not(toy, tmp_path):
    """This shows that the compared values depend on random numbers."""
    config = configured(toy, 'classifier', tmp_path)
    del config['default_hooks']['seeded_draws']
    _, whole = toy.train(config)
    newest, _ = toy.train(config, interrupt=7)
    _, resumed = toy.train(config, resume=newest.replace('epoch_3', 'epoch_1'))
    assert len(differing(whole, resumed, PARTS)) > 10


@pytest.mark.parametrize('by_iter', [False, True])
def test_each_epoch_has_an_order_and_draws_of_its_own(toy, tmp_path, by_iter, monkeypatch):
    """Otherwise equal epochs would also pass the test of resuming."""
    kind, order, drawn = DATASETS.get('NoisyShades'), [], []

    def prepare(dataset, index):
        order.append(index)
        drawn.append(np.random.rand())  # noqa: NPY002
        return original(dataset, index)

    original = kind.prepare_data
    monkeypatch.setattr(kind, 'prepare_data', prepare)
    toy.train(toy.settings(tmp_path, by_iter=by_iter))
    epochs = [tuple(order[start : start + 21]) for start in (0, 21)]
    assert sorted(epochs[0]) == sorted(epochs[1]) == list(range(21))
    assert epochs[0] != epochs[1]
    assert len(set(drawn)) == len(drawn) >= 54


def test_a_seed_that_nobody_gave_is_kept(toy, tmp_path):
    config = configured(toy, 'classifier', tmp_path) | dict(randomness=dict(seed=None))
    _, whole = toy.train(config)
    _, resumed = toy.train(config, resume=str(tmp_path / 'epoch_1.pth'))
    assert resumed['meta']['seed'] == whole['meta']['seed']
    assert differing(whole, resumed, PARTS) == []


@pytest.mark.parametrize('name', tiers(['steps', 'steps, epochs that end', 'retrieval, steps']))
def test_no_image_of_the_past_is_loaded(toy, tmp_path, name, monkeypatch):
    config = configured(toy, name, tmp_path)
    newest, _ = toy.train(config, interrupt=7)
    assert newest.endswith('iter_6.pth')
    dataset, loaded = DATASETS.get('NoisyShades'), []
    prepare = dataset.prepare_data
    monkeypatch.setattr(dataset, 'prepare_data', lambda s, i: loaded.append(i) or prepare(s, i))
    toy.train(config, resume=newest)
    batches = 2 if name == 'steps, epochs that end' else 3  # of six, but an epoch ends with three
    assert len(loaded) == 6 * batches + 3 * (3 - batches)


def test_other_draws_stay_the_same_without_localization(toy, tmp_path, monkeypatch):
    """Dropout, dropped paths, mixup and images do not depend on the sampling of pairs."""
    drawn = {}
    for name in ('with', 'without'):
        model = copy.deepcopy(toy.CLASSIFIER)
        if name == 'without':
            model['backbone']['out_type'] = 'cls_token'
            model['head'] = model['head']['head']
        seen = drawn[name] = []
        with monkeypatch.context() as patch:
            watch(patch, seen)
            toy.train(toy.settings(tmp_path / name, model=model))
    assert len(drawn['with']) == 12
    for one, other in zip(drawn['with'], drawn['without'], strict=True):
        assert all(map(torch.equal, one, other))


def watch(patch, seen):
    """Return lists that record mixed images and dropout masks of each step."""
    extract, dropout = ImageClassifier.extract_feat, torch.nn.functional.dropout

    def dropout_noted(x, *args, **kwargs):
        out = dropout(x, *args, **kwargs)
        seen[-1].append(out == 0)
        return out

    def extract_noted(model, inputs, **kwargs):
        seen.append([inputs])
        return extract(model, inputs, **kwargs)

    patch.setattr(torch.nn.functional, 'dropout', dropout_noted)
    patch.setattr(ImageClassifier, 'extract_feat', extract_noted)


def test_each_rank_draws_its_own_pairs(monkeypatch):
    """They once came from one private generator, the same on all ranks."""
    hook = HOOKS.build(dict(type='SeededDrawsHook'))
    drawn = []
    for rank, step in itertools.product((0, 1), (0, 1)):
        hook.before_train_iter(SimpleNamespace(seed=3, iter=step, rank=rank), 0)
        drawn.append(sample_pairs(16, 4, 4, 2))
    assert all(not torch.equal(a, b) for a, b in itertools.combinations(drawn, 2))


def test_it_comes_first_and_with_every_recipe():
    cfg = Config.fromfile(ROOT / 'configs/_base_/default_runtime.py')
    hook = HOOKS.build(cfg.default_hooks.seeded_draws)
    assert isinstance(hook, SeededDrawsHook)
    assert hook.priority == 'HIGHEST'

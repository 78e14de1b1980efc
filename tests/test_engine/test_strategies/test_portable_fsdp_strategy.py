"""What the strategy refuses; tests/test_engine/test_ranks_agree.py trains with it."""

from types import SimpleNamespace

import pytest
import torch
from mmengine.optim import OptimWrapper
from mmengine.registry import STRATEGIES
from torch import nn

from vit_plugins.engine.strategies import portable_fsdp_strategy
from vit_plugins.engine.strategies.numbered_state import named_state, numbered_state
from vit_plugins.engine.strategies.portable_fsdp_strategy import (
    PortableFSDPStrategy,
    backbone_blocks,
)


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        (dict(model_wrapper=dict(use_orig_params=False)), 'use_orig_params=False leaves flat'),
        (dict(state_dict_cfg='local'), r"state_dict_cfg \('local'\) is not for this strategy"),
        (dict(env_kwargs=dict(launcher='none')), 'a single process: start the ranks with'),
    ],
)
def test_refuses(settings, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        STRATEGIES.build(dict(type='PortableFSDPStrategy', work_dir=str(tmp_path), **settings))


def test_refuses_a_cpu_that_torch_cannot_shard_on(tmp_path, monkeypatch):
    def stream():  # as in torch 2.1
        raise AssertionError

    monkeypatch.setattr(torch.cpu, 'Stream', stream)
    monkeypatch.setattr(portable_fsdp_strategy, 'is_distributed', lambda: True)
    monkeypatch.setattr(portable_fsdp_strategy, 'get_device', lambda: 'cpu')
    with pytest.raises(ValueError, match='cannot shard a model on a CPU: take a newer torch'):
        STRATEGIES.build(dict(type='PortableFSDPStrategy', work_dir=str(tmp_path)))


def clipping(norm=1.0, **clip_grad):
    """Return the optimizer wrapper of a model whose gradients have the given norm."""
    model = nn.Linear(2, 2)
    model.clip_grad_norm_ = lambda max_norm, norm_type: torch.tensor(norm)
    wrapper = OptimWrapper(torch.optim.SGD(model.parameters(), lr=1), clip_grad=clip_grad)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    strategy = SimpleNamespace(id_to_name=names)
    wrapper = PortableFSDPStrategy.build_optim_wrapper(strategy, wrapper, model)
    model(torch.ones(1, 2)).sum().backward()
    return wrapper


def test_clipping_refuses_what_shards_do_not_have():
    with pytest.raises(ValueError, match='clip_grad has foreach, and gradients that are split'):
        clipping(max_norm=1, foreach=True)


def test_a_norm_that_is_not_finite_is_an_error_where_asked():
    clipping(float('nan'), max_norm=1)._clip_grad()
    clipping(max_norm=1, error_if_nonfinite=True)._clip_grad()
    with pytest.raises(RuntimeError, match='gradients over all ranks is nan'):
        clipping(float('nan'), max_norm=1, error_if_nonfinite=True)._clip_grad()


def test_a_state_by_names_and_by_numbers():
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2, bias=False))
    backwards = [dict(params=[p]) for p in reversed(list(model.parameters()))]
    names = [name for name, _ in reversed(list(model.named_parameters()))]
    optimizer = torch.optim.AdamW(backwards, lr=0.1)
    model(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    state = optimizer.state_dict()
    named = named_state(state, names)
    assert list(named['state']) == names == ['1.weight', '0.bias', '0.weight']
    assert [group['params'] for group in named['param_groups']] == [[name] for name in names]
    assert numbered_state(named, names) == state
    with pytest.raises(ValueError, match='optimizer of 3 parameters, and this one has 2'):
        named_state(state, names[:2])


def test_units_are_the_blocks_of_the_backbone():
    model = nn.Module()
    model.head = nn.ModuleList([nn.Linear(1, 1)])
    assert backbone_blocks(model) == set()
    model.backbone = nn.Module()
    model.backbone.layers = nn.ModuleList([nn.Linear(1, 1), nn.Linear(1, 1)])
    assert backbone_blocks(model) == set(model.backbone.layers)

"""What the strategy refuses; tests/test_engine/test_ranks_agree.py trains with it."""

import pytest
import torch
from mmengine.registry import STRATEGIES
from torch import nn

from vit_plugins.engine.strategies.numbered_state import named_state, numbered_state
from vit_plugins.engine.strategies.portable_fsdp_strategy import backbone_blocks


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

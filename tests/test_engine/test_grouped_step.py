"""Steps over joined groups: the same bits as without, with fewer kernels, and the groups stay."""

import copy
import inspect
import signal
from collections import Counter

import pytest
import torch
from mmengine.optim import LinearLR
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from vit_plugins.engine.grouped_step import can_join_groups, join_groups_in_step, joined_groups

LAYERS = 6


def one_group_each(lr=0.01):
    """Return a model and its groups: decay for weights, and half the rate in the first half."""
    torch.manual_seed(0)
    model = nn.Sequential(*(nn.Linear(3, 3) for _ in range(LAYERS)))
    groups = [
        dict(
            params=[parameter],
            lr=lr * (0.5 if int(name.split('.')[0]) < LAYERS // 2 else 1),
            weight_decay=0.1 * (parameter.ndim > 1),
            param_name=name,
        )
        for name, parameter in model.named_parameters()
    ]
    return model, groups


def built(kind, joined, **settings):
    model, groups = one_group_each()
    optimizer = kind(groups, lr=0.01, **settings)
    if joined:
        join_groups_in_step(optimizer)
    return model, optimizer


def step(model, optimizer):
    optimizer.zero_grad()
    model(torch.linspace(-1, 1, 6).view(2, 3)).square().sum().backward()
    optimizer.step()


def assert_same_bits(run, other):
    (model, optimizer), (other_model, other_optimizer) = run, other
    state, other_state = optimizer.state_dict(), other_optimizer.state_dict()
    assert other_state['param_groups'] == state['param_groups']
    for found, expected in (
        (other_model.state_dict(), model.state_dict()),
        (other_state['state'], state['state']),
    ):
        torch.testing.assert_close(found, expected, rtol=0, atol=0)


OPTIMIZERS = [
    kind
    for kind in vars(torch.optim).values()
    if isinstance(kind, type)
    and issubclass(kind, torch.optim.Optimizer)
    and 'foreach' in inspect.signature(kind).parameters
    and kind is not torch.optim.ASGD
]


@pytest.mark.parametrize('kind', OPTIMIZERS)
@pytest.mark.parametrize('foreach', [True, False])
def test_weights_and_state_are_the_same_bits(kind, foreach):
    settings = {'foreach': foreach}
    if 'momentum' in inspect.signature(kind).parameters:
        settings['momentum'] = 0.9
    runs = [built(kind, joined, **settings) for joined in (False, True)]
    for rate in (1, 0.7, 0.3):
        for model, optimizer in runs:
            for group in optimizer.param_groups:
                group['lr'] = group['lr'] * rate
            step(model, optimizer)
    assert_same_bits(*runs)
    assert can_join_groups(runs[0][1])
    assert not torch.equal(runs[0][0][0].weight, one_group_each()[0][0].weight)


def test_a_step_from_which_a_compiler_took_the_hooks(monkeypatch):
    """That of torch 2.1 does it to the class, so no wrapper is left above `no_grad`."""
    built(torch.optim.AdamW, False)  # the first one of a class brings the wrapper
    hooked = torch.optim.AdamW.step
    hooks = torch.optim.Optimizer.profile_hook_step(hooked).__code__
    bare = hooked.__wrapped__ if hooked.__code__ is hooks else hooked
    bare.hooked = True
    monkeypatch.setattr(torch.optim.AdamW, 'step', bare)
    runs = [built(torch.optim.AdamW, joined) for joined in (False, True)]
    for model, optimizer in runs:
        step(model, optimizer)
    assert_same_bits(*runs)


class Kernels(TorchDispatchMode):
    """Count the operations on lists of tensors."""

    def __init__(self):
        super().__init__()
        self.found = Counter()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.found[func.overloadpacket.__name__.startswith('_foreach')] += 1
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize(
    ('kind', 'settings'),
    [
        (torch.optim.SGD, dict(momentum=0.9, fused=True)),
        (torch.optim.SGD, dict(momentum=0.9, foreach=True)),
        (torch.optim.AdamW, dict(foreach=True)),
    ],
)
def test_a_late_first_gradient_is_not_joined_with_others(kind, settings):
    if 'fused' in settings and 'fused' not in inspect.signature(kind).parameters:
        pytest.skip(f'{kind.__name__} of torch {torch.__version__} is not fused')
    runs = [built(kind, joined, **settings) for joined in (False, True)]
    for model, optimizer in runs:
        model[0].requires_grad_(False)
        for number in range(4):
            model[0].requires_grad_(number > 1)
            step(model, optimizer)
    assert_same_bits(*runs)


@pytest.mark.parametrize('kind', [torch.optim.AdamW, torch.optim.SGD])
def test_kernels_are_as_many_as_settings(kind):
    counts = []
    for joined in (False, True):
        model, optimizer = built(kind, joined, foreach=True)
        step(model, optimizer)
        with Kernels() as kernels:
            optimizer.step()
        counts.append(kernels.found[True])
    settings = 4  # two rates, with and without decay
    apart, together = counts
    assert len(joined_groups(optimizer.param_groups, optimizer.defaults)) == settings
    assert apart == together * 2 * LAYERS / settings > 0


class Stopped(Exception):
    pass


def by_error():
    raise Stopped


def by_signal():
    signal.raise_signal(signal.SIGUSR1)


@pytest.mark.parametrize('stop', [by_error, by_signal])
def test_groups_are_back_after_a_step_that_fails(stop):
    def handle(number, frame):
        raise Stopped

    _, optimizer = built(torch.optim.AdamW, joined=True)
    before, members = optimizer.param_groups, list(optimizer.param_groups)
    seen = []

    def closure():
        seen.append(len(optimizer.param_groups))
        stop()

    former = signal.signal(signal.SIGUSR1, handle)
    try:
        with pytest.raises(Stopped):
            optimizer.step(closure)
    finally:
        signal.signal(signal.SIGUSR1, former)
    assert seen == [4]
    assert optimizer.param_groups is before
    assert all(group is member for group, member in zip(before, members, strict=True))


def test_groups_keep_what_the_step_does_not_read():
    model, optimizer = built(torch.optim.AdamW, joined=True)
    before = copy.deepcopy(optimizer.state_dict()['param_groups'])
    step(model, optimizer)
    assert optimizer.state_dict()['param_groups'] == before
    assert before[0]['param_name'] == '0.weight'


def test_hooks_of_torch_see_the_groups_apart():
    model, optimizer = built(torch.optim.SGD, joined=True)
    seen = []

    def note(optimizer, args, kwargs):
        seen.append(len(optimizer.param_groups))

    optimizer.register_step_pre_hook(note)
    optimizer.register_step_post_hook(note)
    step(model, optimizer)
    assert seen == [2 * LAYERS] * 2


@pytest.mark.parametrize('kind', [LinearLR, torch.optim.lr_scheduler.LinearLR])
def test_schedulers_may_replace_the_step_later(kind, recwarn):
    """Those of the host and of torch warn if they do not see the steps."""
    model, optimizer = built(torch.optim.SGD, joined=True)
    scheduler = kind(optimizer, start_factor=0.5)
    assert hasattr(optimizer.step, '_with_counter') or optimizer.step._wrapped_by_lr_sched
    for _ in range(2):
        step(model, optimizer)
        scheduler.step()
    assert not [str(warning.message) for warning in recwarn]


def test_arguments_of_the_step_stay_readable():
    """``torch.amp.GradScaler`` looks for ``grad_scaler`` among them."""
    _, apart = built(torch.optim.AdamW, joined=False)
    _, together = built(torch.optim.AdamW, joined=True)
    assert inspect.signature(together.step) == inspect.signature(apart.step)
    assert 'closure' in inspect.signature(together.step).parameters


@pytest.mark.skipif(not hasattr(torch.amp, 'GradScaler'), reason='this torch scales on GPUs only')
@pytest.mark.parametrize('fused', [True, False])
def test_scaled_losses(fused):
    runs = [built(torch.optim.AdamW, joined, fused=fused) for joined in (False, True)]
    for model, optimizer in runs:
        scaler = torch.amp.GradScaler('cpu', init_scale=8.0, growth_interval=2)
        for size in (1, 2, float('inf'), 3):
            optimizer.zero_grad()
            scaler.scale(model(torch.full((2, 3), float(size))).sum()).backward()
            scaler.step(optimizer)
            scaler.update()
        assert scaler.get_scale() == 8.0  # doubled after two steps, halved by the third
        assert model[0].weight.isfinite().all()
    assert_same_bits(*runs)


def test_tensors_are_equal_as_objects():
    rate = torch.tensor(0.1)
    rates = dict(a=rate, b=rate, c=rate.clone())
    groups = [dict(params=[name], lr=rate) for name, rate in rates.items()]
    assert [group['params'] for group in joined_groups(groups, ['lr'])] == [['a', 'b'], ['c']]


def test_betas_may_be_lists():
    groups = [dict(params=[name], betas=[0.9, 0.99]) for name in 'ab']
    assert joined_groups(groups, ['betas']) == [dict(params=['a', 'b'], betas=[0.9, 0.99])]
    assert groups[0]['params'] == ['a']


def test_optimizers_that_are_left_alone():
    from mmpretrain.engine.optimizers import Lamb
    from mmpretrain.engine.optimizers.adan_t import Adan

    # both count steps in their groups, and Adan has the setting foreach
    for kind in (Lamb, Adan):
        model, optimizer = built(kind, joined=False)
        assert not can_join_groups(optimizer)
        step(model, optimizer)
        assert 'step' in optimizer.param_groups[0]
        assert 'step' not in optimizer.defaults
    for kind in (torch.optim.LBFGS, torch.optim.ASGD):
        assert not can_join_groups(kind(one_group_each()[0].parameters()))
    _, optimizer = built(torch.optim.AdamW, joined=True)
    assert not can_join_groups(optimizer)  # not twice

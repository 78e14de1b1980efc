import copy
import itertools
from collections import OrderedDict

import pytest
import torch
from mmengine.hooks import EMAHook
from mmengine.logging import MessageHub
from mmengine.model import BaseModel
from mmengine.runner.checkpoint import load_checkpoint, save_checkpoint
from mmpretrain.registry import MODELS
from torch import nn

from vit_plugins.weights.safe_reading import load_checkpoint_file


@pytest.fixture(autouse=True)
def _no_run(monkeypatch):
    """Reset the steps that runners of other tests have counted."""
    monkeypatch.setattr(MessageHub, '_instance_dict', OrderedDict())


def build(size=5, **settings):
    return MODELS.build({'type': 'CrossBatchMemory', 'size': size, **settings})


def batch(start, number):
    """Return embeddings and labels that encode their order: 1, 2, 3, ..."""
    labels = torch.arange(start, start + number)
    return labels[:, None] * torch.tensor([1.0, -1.0]), labels


def fill(memory, batches, size, start=0):
    for k in range(batches):
        memory.store(*batch(start + k * size, size))
    return memory


class Model(BaseModel):
    """A module with weights and a memory."""

    def __init__(self, memory=None):
        super().__init__()
        self.layer = nn.Linear(2, 2)
        if memory is not None:
            self.memory = memory

    def forward(self, *args, **kwargs):
        raise NotImplementedError


# --- the ring -----------------------------------------------------------------------------------


@pytest.mark.parametrize('size', [1, 5, 7, 12])
def test_holds_the_last_samples_in_order(size):
    for n, steps in itertools.product((1, 3, 4, 7, 20), (1, 2, 3, 8)):
        memory = fill(build(size), steps, n)
        embeddings, labels = memory.entries_by_age()
        expected = torch.arange(max(steps * n - size, 0), steps * n)
        assert labels.tolist() == expected.tolist()
        assert torch.equal(embeddings[:, 0], expected.float())
        assert torch.equal(embeddings[:, 1], -expected.float())
        assert len(memory) == min(size, steps * n)


def test_batches_of_changing_size():
    memory, seen = build(5), []
    for number in (2, 4, 1, 0, 9, 3):
        embeddings, labels = batch(len(seen), number)
        rows = memory.store(embeddings, labels)
        seen += labels.tolist()
        assert memory.entries_by_age()[1].tolist() == seen[-5:]
        stored = memory.entries()[1]
        kept = rows >= 0
        assert torch.equal(stored[rows[kept]], labels[kept])
        assert kept.tolist() == [number - i <= 5 for i in range(number)]


def test_only_filled_rows_are_entries():
    memory = build(8)
    assert len(memory) == len(memory.entries()[0]) == len(memory.entries()[1]) == 0
    fill(memory, 1, 3)
    assert memory.entries()[0].shape == (3, 2)
    assert memory.entries()[1].tolist() == [0, 1, 2]  # a label 0 is a label


def test_starts_late():
    memory = build(start_iter=2)
    rows = [memory.store(*batch(k, 1)).tolist() for k in range(4)]
    assert rows == [[-1], [-1], [0], [1]]
    assert memory.entries()[1].tolist() == [2, 3]


def test_keeps_float32_without_gradient():
    memory = build()
    memory.store(torch.ones(2, 3, dtype=torch.bfloat16, requires_grad=True), torch.arange(2))
    embeddings, labels = memory.entries()
    assert embeddings.dtype == torch.float32
    assert not embeddings.requires_grad
    assert labels.dtype == torch.long


def test_large_labels_are_exact():
    memory = build()
    memory.store(torch.ones(2, 3), torch.tensor([2**24, 2**24 + 1]))
    assert memory.entries()[1].tolist() == [2**24, 2**24 + 1]


# --- what is saved ------------------------------------------------------------------------------


@pytest.mark.parametrize('steps', [0, 1, 3, 4])
def test_goes_on_as_if_never_saved(steps, tmp_path):
    straight = fill(build(start_iter=1), steps, 3)
    torch.save(Model(straight).state_dict(), tmp_path / 'model.pth')
    resumed = Model(build(start_iter=1))
    resumed.load_state_dict(load_checkpoint_file(tmp_path / 'model.pth'), strict=True)
    for memory in (straight, resumed.memory):
        fill(memory, 2, 4, start=100)
    for one, other in zip(straight.entries(), resumed.memory.entries(), strict=True):
        assert torch.equal(one, other)


def test_saved_state_is_a_snapshot():
    memory = fill(build(), 1, 3)
    state = memory.state_dict()
    fill(memory, 3, 3, start=50)
    assert state['labels'].tolist() == [0, 1, 2]
    assert torch.equal(state['embeddings'], batch(0, 3)[0])
    assert (state['pointer'], state['iter']) == (3, 1)


@pytest.mark.parametrize('steps', [0, 1, 4])
def test_saved_state_is_tensors_as_the_host_broadcasts_them(steps):
    state = fill(build(), steps, 3).state_dict()
    assert list(state) == ['embeddings', 'labels', 'pointer', 'iter']
    assert all(isinstance(value, torch.Tensor) for value in state.values())


@pytest.mark.parametrize('size', [3, 5, 7])
def test_a_checkpoint_with_the_state_in_a_dict_still_loads(size):
    source = fill(build(), 3, 3)
    state = source.state_dict()
    old = {'embeddings': state['embeddings'], 'labels': state['labels'], 'pointer': 4, 'iter': 3}
    assert state['pointer'] == 4
    model = Model(build(size))
    weights = Model().state_dict()
    model.load_state_dict({**weights, 'memory._extra_state': old}, strict=True)
    for one, other in zip(model.memory.entries_by_age(), source.entries_by_age(), strict=True):
        assert torch.equal(one, other[-size:])
    assert model.memory.state_dict()['iter'] == 3


def test_half_a_memory_is_refused():
    state = Model(fill(build(), 1, 3)).state_dict()
    del state['memory.pointer'], state['memory.iter']
    with pytest.raises(RuntimeError, match='of the memory memory only embeddings, labels are'):
        Model(build()).load_state_dict(state)


@pytest.mark.parametrize('old', [3, 5, 9])
@pytest.mark.parametrize('steps', [1, 2, 4])
def test_a_memory_of_another_size_keeps_the_newest(old, steps):
    source, target = fill(build(old), steps, 3), build(5)
    expected, labels = source.entries_by_age()
    target.load_state_dict(source.state_dict())
    for more in (0, 2, 4):  # the ring goes on where the oldest is
        new = batch(70 + more, more)
        target.store(*new)
        expected, labels = torch.cat((expected, new[0]))[-5:], torch.cat((labels, new[1]))[-5:]
        found = target.entries_by_age()
        assert torch.equal(found[0], expected)
        assert torch.equal(found[1], labels)
        assert torch.equal(found[0][:, 0], found[1].float())


def test_weights_without_a_memory_load_strictly_and_empty_it(tmp_path):
    model = Model(fill(build(), 1, 3))
    plain = Model().state_dict()
    model.load_state_dict(plain, strict=True)
    assert len(model.memory) == 0
    save_checkpoint({'state_dict': plain}, str(tmp_path / 'plain.pth'))
    load_checkpoint(model, str(tmp_path / 'plain.pth'), strict=True)


def test_is_neither_parameter_nor_buffer():
    memory = fill(build(), 2, 3)
    assert [*memory.parameters(), *memory.buffers()] == []


def test_refuses_embeddings_of_another_width():
    memory = fill(build(), 1, 3)
    with pytest.raises(ValueError, match='embeddings are 4 wide, those in the memory 2'):
        memory.store(torch.ones(1, 4), torch.ones(1))


# --- beside the host's hooks --------------------------------------------------------------------


class Runner:
    """The parts of a runner that EMAHook reads."""

    _resume = True

    def __init__(self, model):
        self.model, self.iter = model, 0


@pytest.mark.parametrize('begin_iter', [0, 100])
def test_ema_hook_passes_it_by(begin_iter):
    runner = Runner(Model(build()))
    hook = EMAHook(begin_iter=begin_iter)
    hook.before_run(runner)
    fill(runner.model.memory, 2, 3)
    hook.after_train_iter(runner, 0)
    content = [x.clone() for x in runner.model.memory.entries()]
    hook.before_val_epoch(runner)
    hook.after_val_epoch(runner)
    checkpoint = {'state_dict': runner.model.state_dict()}
    hook.before_save_checkpoint(runner, checkpoint)
    assert not any('memory' in key for key in checkpoint['ema_state_dict'])

    resumed = Runner(Model(build()))
    hook = EMAHook(begin_iter=begin_iter)
    hook.before_run(resumed)
    hook.after_load_checkpoint(resumed, checkpoint)
    resumed.model.load_state_dict(checkpoint['state_dict'])
    for memory in (runner.model.memory, resumed.model.memory):
        assert all(map(torch.equal, content, memory.entries()))


def test_a_copy_is_empty_and_not_saved():
    model = Model(fill(build(), 1, 3))
    twin = copy.deepcopy(model)
    assert len(twin.memory) == 0
    assert len(model.memory) == 3
    assert not any('memory' in key for key in twin.state_dict())
    twin.load_state_dict(model.state_dict(), strict=True)
    assert len(twin.memory) == 0


# --- settings -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        (dict(size=0), r'size \(0\) must be at least 1; for no memory set memory=None'),
        (dict(start_iter=-1), r'start_iter \(-1\) must not be negative'),
    ],
)
def test_refuses(settings, message):
    with pytest.raises(ValueError, match=message):
        build(**settings)


def test_repr():
    assert repr(build()) == 'CrossBatchMemory(size=5, start_iter=0)'


def test_a_memory_larger_than_the_set_is_told(monkeypatch):
    said = []
    module = 'vit_plugins.models.memories.cross_batch_memory.print_log'
    monkeypatch.setattr(module, lambda text, **_: said.append(text))
    build(size=5).check_dataset(range(5))
    assert said == []
    build(size=6).check_dataset(range(5))
    assert 'keeps 6 embeddings and there are 5 training images' in said[0]
    assert said[0].endswith('model.head.memory.size=5')

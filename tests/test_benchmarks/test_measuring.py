"""Measured time and memory of calls whose time and memory are known."""

import subprocess
import sys
import time

import pytest
import torch

from vit_plugins.benchmarks.comparison import Comparison, OutputsDifferError, Side
from vit_plugins.benchmarks.measuring import (
    kept_bytes,
    measure,
    peak_megabytes,
    time_in_turns,
)
from vit_plugins.benchmarks.setting import Setting

QUICK = Setting(size='toy', rounds=5, turn=0.0)


def test_sides_take_turns():
    order = []
    calls = {'ours': lambda: order.append('o'), 'peer': lambda: order.append('p')}
    spent = time_in_turns(calls, QUICK)
    assert ''.join(order) == 'op' + 5 * 'op'  # a call of each to warm up
    assert [len(rounds) for rounds in spent.values()] == [5, 5]


def test_seconds_are_those_of_one_call():
    calls = {'ours': lambda: time.sleep(0.02)}
    (rounds,) = time_in_turns(calls, Setting(size='toy', rounds=3, turn=0.1)).values()
    assert all(0.02 <= spent.wall < 0.1 for spent in rounds)
    assert all(spent.cpu < 0.02 for spent in rounds)  # asleep


def test_cpu_seconds_count_children_that_have_ended():
    words = [sys.executable, '-S', '-c', 'sum(range(10**6))']
    (rounds,) = time_in_turns({'ours': lambda: subprocess.run(words, check=True)}, QUICK).values()
    assert min(spent.cpu for spent in rounds) >= 0.01


def test_ratio_is_to_ours():
    sides = {'ours': Side(lambda: time.sleep(0.01)), 'peer': Side(lambda: time.sleep(0.04))}
    sides = {name: Side(side.call, lambda: [torch.ones(1)]) for name, side in sides.items()}
    found = measure(Comparison('case', sides, 1e-3, images=8), QUICK)['sides']
    assert found['ours']['ratio'] == 1
    assert 2 < found['peer']['ratio'] < 6
    assert found['ours']['per_second'] == pytest.approx(8 / found['ours']['seconds'])


def test_nothing_is_timed_where_outputs_differ():
    called = []
    sides = {
        name: Side(lambda: called.append(1), lambda value=value: [torch.tensor([value])])
        for name, value in {'ours': 1.0, 'peer': 2.0}.items()
    }
    with pytest.raises(OutputsDifferError):
        measure(Comparison('case', sides, 1e-3), QUICK)
    assert not called


def test_once_is_one_call_of_each_side():
    called = []

    def side(name):
        return Side(lambda: called.append(name) or time.sleep(0.01), lambda: 1 / 0)

    comparison = Comparison('case', {name: side(name) for name in ('ours', 'peer')}, 0.0)
    found = measure(comparison, Setting(size='toy', once=True))
    assert called == ['ours', 'peer']
    assert all(row['rounds'] == [row['seconds']] for row in found['sides'].values())
    assert found['sides']['ours']['seconds'] >= 0.01
    assert found['differences'] == {}


def test_peak_memory_of_a_call():
    peak = peak_megabytes(lambda: torch.ones(25 * 2**20), QUICK)  # 100 MiB of float32
    if peak is None:
        pytest.skip('the operating system does not tell the peak of memory')
    assert 95 < peak < 130


def test_kept_bytes_counts_each_storage_once_and_no_parameter():
    linear, x = torch.nn.Linear(4, 4, bias=False), torch.randn(10, 4)
    # the input for the weight's gradient, and the output of exp, which its own backward needs
    assert kept_bytes(lambda: linear(x).exp(), linear) == 2 * 10 * 4 * 4
    assert kept_bytes(lambda: linear(x) + linear(x), linear) == 10 * 4 * 4

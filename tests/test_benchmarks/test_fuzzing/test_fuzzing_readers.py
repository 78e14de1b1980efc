"""Readers raise only documented errors, whatever they read; the fuzzer finds other errors."""

import random
import time

import pytest

from vit_plugins.benchmarks.fuzzing import running
from vit_plugins.benchmarks.fuzzing.mutations import CHANGES, mutate
from vit_plugins.benchmarks.fuzzing.readers import READERS, Reader
from vit_plugins.benchmarks.fuzzing.running import describe, fuzz

FAST, SLOW = 5, 20_000


@pytest.mark.parametrize('name', READERS)
def test_valid_files_are_read(name, tmp_path):
    reader = READERS[name]
    for content in reader.seeds():
        (tmp_path / f'a{reader.suffix}').write_bytes(content)
        reader.read(tmp_path / f'a{reader.suffix}')


@pytest.mark.parametrize('name', READERS)
def test_documented_errors_alone(name, tmp_path):
    found = fuzz(name, range(FAST), tmp_path, seed=1)
    assert found.inputs == FAST
    assert not found.faults, found.faults[0][1]


@pytest.mark.slow
def test_documented_errors_alone_in_20000_files(tmp_path):
    outcomes = {
        name: fuzz(name, range(SLOW // len(READERS) + 1), tmp_path, seed=2) for name in READERS
    }
    assert sum(found.inputs for found in outcomes.values()) >= SLOW
    faults = [(name, *fault) for name, found in outcomes.items() for fault in found.faults]
    assert not faults, f'{describe(outcomes)}\n{faults[0]}'


VALID = b'abcd' * 9


def raise_by_length(path):
    if path.read_bytes() == VALID:
        return
    length = len(path.read_bytes()) % 4
    if length == 0:
        raise ValueError
    if length == 1:
        raise KeyError
    if length == 2:
        raise RecursionError
    try:
        time.sleep(1)
    except Exception:
        return


def test_the_fuzzer_notices_other_errors_and_readers_that_hang(tmp_path, monkeypatch):
    reader = Reader(raise_by_length, (ValueError, RuntimeError), lambda: [VALID], '.x')
    monkeypatch.setitem(READERS, 'one', reader)
    monkeypatch.setattr(running, 'SECONDS', 0.02)
    found = fuzz('one', range(60), tmp_path)
    assert found.inputs == 60
    assert not found.read
    assert found.refused['ValueError'] > 0
    ends = [text.strip().splitlines()[-1] for _, text in found.faults]
    kinds = {end.partition(':')[0].rpartition('.')[2] for end in ends}
    assert kinds == {'KeyError', 'RecursionError', 'HangError'}
    assert 'one' in describe({'one': found})


def test_a_reader_that_refuses_valid_files_is_not_fuzzed(tmp_path, monkeypatch):
    reader = Reader(raise_by_length, (ValueError,), lambda: [b'abcdefgh'], '.x')
    monkeypatch.setitem(READERS, 'one', reader)
    with pytest.raises(ValueError, match='one: the valid file that is to be changed is refused'):
        fuzz('one', range(3), tmp_path)


def test_the_same_seed_makes_the_same_files():
    content = bytes(range(200))
    first, again, other = (mutate(content, random.Random(seed)) for seed in (1, 1, 2))
    assert first == again != other
    for change in CHANGES:
        for length in (0, 1):  # nothing to change is no error
            change(bytearray(length), random.Random(0), [])

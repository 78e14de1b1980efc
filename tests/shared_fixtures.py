"""Fixtures shared by all tests, and the state of a process in which tests run."""

import ast
import functools
import itertools
import os
import shutil
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.config import config as host_config
from mmengine.dataset import base_dataset
from mmpretrain.utils import register_all_modules
from offline import go_offline
from own_warnings import warn
from PIL import Image
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten

warnings.warn = warn  # before the package is imported
go_offline()

import vit_plugins  # noqa: E402, F401  (registration)

COUNT = itertools.count()
COLOURS = {'blue': (30, 60, 220), 'green': (60, 220, 30), 'red': (220, 30, 60)}

torch.set_num_threads(1)  # tiny models: a second thread only gets in the way of the other worker


@pytest.fixture(autouse=True, scope='session')
def _host_scope():
    """Set the host's scope, so that tests build host components by bare name, as a config does."""
    register_all_modules(init_default_scope=True)


@pytest.fixture(autouse=True, scope='session')
def _no_garbage_collection():
    """Skip the garbage collection of the host's datasets, which takes seconds in total."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(base_dataset, 'gc', SimpleNamespace(collect=lambda: 0))
        yield


@pytest.fixture(autouse=True, scope='session')
def _no_formatting():
    """Skip the formatting of written configs, which takes a quarter of a second for each training.

    The host's formatter refuses text that is not Python, and so does this.
    """

    def check(text, **_):
        ast.parse(text)
        return text, False

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(host_config, 'FormatCode', check)
        yield


@pytest.fixture(autouse=True, scope='session')
def _configs_in_memory():
    """Keep the host's copies of config files off the disk: a folder for each of many thousands."""
    memory = '/dev/shm'
    if not os.access(memory, os.W_OK):
        yield
        return
    in_memory = SimpleNamespace(
        TemporaryDirectory=functools.partial(tempfile.TemporaryDirectory, dir=memory),
        NamedTemporaryFile=tempfile.NamedTemporaryFile,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(host_config, 'tempfile', in_memory)
        yield


@pytest.fixture(autouse=True)
def _seed():
    """Seed each test, so that its random numbers do not depend on the tests before it."""
    torch.default_generator.manual_seed(0)  # torch.manual_seed walks through all devices
    if torch.cuda.is_initialized():
        torch.cuda.manual_seed_all(0)


class NoWaiting(TorchDispatchMode):
    """Refuse operations that wait for a GPU, or that move data between it and the CPU unnoticed.

    The meta device itself refuses ``.item()`` and sizes that depend on data; it would let pass a
    CPU tensor as an index and a copy of a result to the CPU.
    """

    MOVES = {'aten::_to_copy', 'aten::copy_'}

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        devices = {
            leaf.device.type
            for leaf in tree_flatten((args, kwargs))[0]
            if isinstance(leaf, torch.Tensor) and (leaf.ndim or leaf.is_meta)
        }
        name = func.name().split('.')[0]
        mixed = {'meta', 'cpu'} <= devices and name not in self.MOVES
        assert not mixed, f'{func} takes a CPU tensor beside one on the device'
        result = func(*args, **kwargs)
        back = 'meta' in devices and any(
            isinstance(leaf, torch.Tensor) and leaf.device.type == 'cpu'
            for leaf in tree_flatten(result)[0]
        )
        assert not back, f'{func} moves a result of the device to the CPU'
        return result


@pytest.fixture
def no_waiting():
    """Check operations on the meta device, see :class:`NoWaiting`."""
    return NoWaiting


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv(
        'XDG_CACHE_HOME', str(tmp_path_factory.getbasetemp() / f'cache{next(COUNT)}')
    )


@pytest.fixture
def photos(tmp_path) -> Callable[..., Path]:
    """Write a tree of class folders: ``photos('train', blue=5, red=2)``."""

    def make(part: str = '', suffix: str = '.png', **counts: int) -> Path:
        for name, count in counts.items():
            folder = tmp_path / 'photos' / part / name
            folder.mkdir(parents=True, exist_ok=True)
            for i in range(count):
                pixels = np.full((24 + 8 * (i % 3), 40, 3), COLOURS.get(name, (9, 9, 9)), np.uint8)
                Image.fromarray(pixels).save(folder / f'{i:02d}{suffix}')
        return tmp_path / 'photos'

    return make


@pytest.fixture
def logged_by(monkeypatch):
    """Return a function that collects from now on what a module logs by ``print_log``."""

    def collect(module):
        lines = []
        monkeypatch.setattr(module, 'print_log', lambda text, *_, **__: lines.append(text))
        return lines

    return collect


@pytest.fixture
def listed_folders(monkeypatch):
    """Return a list that records each listing of a folder."""
    counts = Counter()

    def counted(function):
        def call(path='.'):
            counts[str(path)] += 1
            return function(path)

        return call

    monkeypatch.setattr(os, 'scandir', counted(os.scandir))
    monkeypatch.setattr(os, 'listdir', counted(os.listdir))
    return counts


@pytest.fixture(scope='module')  # its event loop must not run below tests of other things
def browser():
    """Start Chromium: that of playwright, or the one that CHROMIUM or PATH names."""
    playwright = pytest.importorskip('playwright.sync_api', reason="pip install '.[browser]'")
    program = os.environ.get('CHROMIUM') or shutil.which('chromium')
    with playwright.sync_playwright() as driver:
        if not program and not os.path.exists(driver.chromium.executable_path):
            pytest.skip('no Chromium: playwright install chromium, or CHROMIUM=FILE')
        found = driver.chromium.launch(executable_path=program, args=['--no-sandbox'])
        yield found
        found.close()

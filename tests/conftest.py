"""Fixtures shared by all tests."""

import pytest
import torch
from mmpretrain.utils import register_all_modules

import vit_plugins  # noqa: F401  (registration)

torch.set_num_threads(1)  # tiny models: a second thread only gets in the way of the other worker


@pytest.fixture(autouse=True, scope='session')
def _host_scope():
    """Let the tests build host components by bare name, as a config does."""
    register_all_modules(init_default_scope=True)


@pytest.fixture(autouse=True)
def _seed():
    """Give each test the same random stream, whatever ran before it."""
    torch.manual_seed(0)

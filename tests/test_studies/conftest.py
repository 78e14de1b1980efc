"""A study whose trainings take no time, see :mod:`stub_study`."""

import pytest


@pytest.fixture(scope='session')
def make_bench():
    """Return the class of a stub study; its constructor takes a folder."""
    from stub_study import Bench

    return Bench


@pytest.fixture
def bench(tmp_path, make_bench):
    """Return a stub study in a folder of its own."""
    return make_bench(tmp_path)

"""The small training, see :mod:`toy_training`."""

import pytest


@pytest.fixture(scope='session')
def toy():
    """Return the module: ``settings``, ``train``, ``CLASSIFIER`` and ``RETRIEVER``."""
    import toy_training

    return toy_training

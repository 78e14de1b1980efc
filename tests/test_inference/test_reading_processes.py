"""The default number of processes that read photos."""

import multiprocessing

import pytest

from vit_plugins.inference.photos import default_workers


@pytest.mark.parametrize(
    ('chosen', 'of_system', 'some'),
    [
        (None, ['fork', 'spawn'], True),  # Linux
        (None, ['spawn', 'fork'], False),  # macOS
        (None, ['spawn'], False),  # Windows
        ('spawn', ['fork', 'spawn'], False),
        ('fork', ['spawn', 'fork'], True),
    ],
)
def test_none_are_started_that_would_run_the_program_of_the_caller(
    monkeypatch, chosen, of_system, some
):
    monkeypatch.setattr(multiprocessing, 'get_start_method', lambda allow_none: chosen)
    monkeypatch.setattr(multiprocessing, 'get_all_start_methods', lambda: of_system)
    assert (default_workers(1000) > 0) == some
    assert default_workers(10) == 0

"""Long work reports its progress, on a terminal and in the log of a job."""

import sys
import time

import pytest

from vit_plugins.fileio import progress_bar


@pytest.fixture
def clock(monkeypatch):
    """Set a clock that advances by ten seconds at each reading."""
    monkeypatch.setattr(time, 'monotonic', iter(range(0, 10_000, 10)).__next__)


def test_without_a_terminal_a_line_now_and_then(clock, capsys):
    assert list(progress_bar.tracked('abcdefgh', 8, 'Describing')) == list('abcdefgh')
    assert capsys.readouterr().err.splitlines() == [
        'Describing: 38%, about 50 s left',
        'Describing: 75%, about 20 s left',
    ]


def test_a_short_work_is_not_talked_about(capsys):
    assert list(progress_bar.tracked(range(9), 9, 'Describing')) == list(range(9))
    assert list(progress_bar.tracked([], 0, 'Describing')) == []
    assert capsys.readouterr().err == ''


def test_nothing_is_shown_where_nothing_is_wanted(clock, capsys):
    assert list(progress_bar.tracked('abcdefgh', 8, 'Describing', progress=False)) == list(
        'abcdefgh'
    )
    assert capsys.readouterr().err == ''


def test_a_terminal_gets_a_bar(monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, 'isatty', lambda: True, raising=False)
    assert list(progress_bar.tracked(iter('abc'), 3, 'Describing')) == list('abc')
    assert 'Describing' in capsys.readouterr().err

import sys

import pytest

from vit_plugins.command_line.in_words import run_in_words


class OutOfMemoryError(RuntimeError):
    """As torch has one."""


@pytest.mark.parametrize(
    ('error', 'told'),
    [
        (OSError('disk full'), r'OSError: disk full\n\(--debug shows where\)'),
        (OutOfMemoryError('CUDA'), r'a smaller --batch-size'),
        (SystemExit('said'), r'^said$'),
        (KeyboardInterrupt(), r'130'),
    ],
)
def test_errors_end_in_words(error, told, monkeypatch):
    def command():
        raise error

    monkeypatch.setattr(sys, 'argv', ['train'])
    with pytest.raises(SystemExit, match=told):
        run_in_words(command)
    monkeypatch.setattr(sys, 'argv', ['train', '--debug'])
    with pytest.raises(type(error)):
        run_in_words(command)

import sys

import pytest
from torch.utils.data import DataLoader

from vit_plugins.command_line.in_words import run_in_words
from vit_plugins.command_line.worker_message import message_of


class OutOfMemoryError(RuntimeError):
    """Named like torch's error."""


class FailingPhotos:
    """A dataset with an error that has a cause and two lines."""

    def __len__(self):
        return 2

    def __getitem__(self, index):
        try:
            raise ValueError('cause')
        except ValueError as error:
            raise OSError(f'x.jpg: bad\nmend it {index}') from error


def test_errors_of_workers_are_told_without_their_traceback():
    with pytest.raises(OSError, match='Original Traceback') as error:
        list(DataLoader(FailingPhotos(), num_workers=1))
    assert message_of(error.value) == 'x.jpg: bad\nmend it 0'
    assert message_of(OSError('plain')) == 'plain'


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

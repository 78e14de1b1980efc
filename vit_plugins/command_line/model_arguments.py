"""Add the arguments that choose a trained model and the device that runs it."""

import argparse
from pathlib import Path


def add_work_dir_argument(parser: argparse.ArgumentParser) -> None:
    """Add the work dir as a positional argument.

    Args:
        parser: The parser of a tool.
    """
    parser.add_argument('work_dir', type=Path, help='the work dir of a training run')


def require_work_dir(parser: argparse.ArgumentParser, folder: Path) -> None:
    """Check that a work dir is a folder; otherwise the command ends with a message.

    Args:
        parser: The parser of the tool.
        folder: The work dir.
    """
    if not folder.is_dir():
        parser.error(f'{folder} is not a folder: give the work dir of a training run')


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    """Add ``--config`` and ``--checkpoint``, which replace the choice from the work dir.

    Args:
        parser: The parser of a tool.
    """
    parser.add_argument('--config', type=Path, help='default: the config in the work dir')
    parser.add_argument(
        '--checkpoint',
        type=Path,
        help='default: the best checkpoint, or the newest if none is marked as best',
    )


def add_device_argument(parser: argparse.ArgumentParser) -> None:
    """Add ``--device``.

    Args:
        parser: The parser of a tool.
    """
    parser.add_argument('--device', help='cpu, cuda, cuda:1 ...; default: a GPU if there is one')

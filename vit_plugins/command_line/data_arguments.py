"""Add the arguments that choose images, and compute the names that follow from them."""

from __future__ import annotations

import argparse
from pathlib import Path

BALANCES = ('none', 'sampler', 'loss')
SUBSETS = ('first', 'random')  # what --fraction keeps of each class
# Words in the names of configs/_base_/datasets that describe the augmentation, not the images.
AUGMENTATIONS = {'batch', 'deit3', 'folders', 'ft', 'retrieval', 'src', 'trivial', 'vit'}


def add_data_arguments(parser: argparse.ArgumentParser) -> None:
    """Add ``--data`` and ``--data-root``.

    Args:
        parser: The parser of a tool.
    """
    parser.add_argument(
        '--data',
        metavar='NAME|FILE',
        help="a dataset in place of the config's: a name from configs/_base_/datasets, such as "
        'svhn, cifar100 or domainnet-sketch (the image size is that of the config), or a config '
        'file with dataloaders',
    )
    parser.add_argument(
        '--data-root',
        metavar='DIR',
        help='folder of your own images, with one folder per class, or of the files of the '
        "config's dataset or of --data; for class folders, the classes and their number are set "
        'in the config, and validation images are held out if there are none',
    )


def add_folder_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments about the folder of ``--data-root``.

    Args:
        parser: The parser of a tool that trains or tests.
    """
    add_skip_argument(parser)
    parser.add_argument(
        '--group-by',
        metavar='REGEX|FILE.csv',
        help='with --data-root: photos of one group (object, patient, day) are all used for '
        'training or all held out; the group is what the expression, or its first pair of '
        'brackets, matches in the path below the folder, or it is in a table with the columns '
        'file and group',
    )
    parser.add_argument(
        '--labels',
        metavar='FILE.csv',
        help='with --data-root: a table with the columns file and class, in place of class '
        'folders',
    )


def add_balance_argument(group: argparse._ActionsContainer) -> None:
    """Add ``--balance``.

    Args:
        group: The parser, or a group of its arguments.
    """
    group.add_argument(
        '--balance',
        choices=BALANCES,
        help='with --data-root: how rare classes are balanced; sampler: all classes are sampled '
        'equally often; loss: all classes have equal weight in the loss',
    )


def add_skip_argument(
    parser: argparse.ArgumentParser, condition: str = 'with --data-root: '
) -> None:
    """Add ``--skip-unreadable``.

    Args:
        parser: The parser of a tool that checks photos before it uses them.
        condition: What the option needs, for its help.
    """
    parser.add_argument(
        '--skip-unreadable',
        action='store_true',
        help=f'{condition}leave out images that cannot be read, instead of stopping',
    )


def run_name(args: argparse.Namespace) -> str:
    """Return the name of a run: its config and the data options.

    Args:
        args: Arguments of a tool: ``config``, and perhaps ``data``, ``fraction`` and ``subset``.

    >>> run_name(argparse.Namespace(config='configs/x.py', data='svhn', fraction=0.05))
    'x_svhn-5pct'
    """
    data, fraction = getattr(args, 'data', None), getattr(args, 'fraction', None)
    name = Path(args.config).stem + (f'_{Path(data).stem}' if data else '')
    if not fraction:
        return name
    subset = getattr(args, 'subset', SUBSETS[0])
    kept = '' if subset == SUBSETS[0] else f'-{subset}'
    return f'{name}-{100 * fraction:.4g}pct{kept}'


def dataset_name(stem: str) -> str:
    """Return the name of a dataset without its image size and augmentation.

    Args:
        stem: The name of a file of ``configs/_base_/datasets``.

    >>> dataset_name('stanford_cars_deit3_ft_224')
    'stanford-cars'
    """
    words = stem.split('_')
    while len(words) > 1 and (words[-1].isdigit() or words[-1] in AUGMENTATIONS):
        words.pop()
    return '-'.join(words)

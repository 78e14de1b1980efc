"""Add the arguments that change how a recipe trains."""

import argparse

from .data_arguments import add_balance_argument

CLASSIFIERS = ('linear', 'nearest-mean')


def add_training_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the most common options of a training, as short forms of ``--cfg-options``.

    Args:
        parser: The parser of the tool that trains.
    """
    group = parser.add_argument_group(
        'the most common settings; other values of the recipe are adapted to them'
    )
    group.add_argument('--epochs', type=int, metavar='N', help='number of passes over the images')
    group.add_argument(
        '--batch-size',
        type=int,
        metavar='N',
        help='images per step on each device; the learning rate is scaled in proportion unless '
        '--lr is given',
    )
    group.add_argument(
        '--img-size', type=int, metavar='PIXELS', help='height and width of the images'
    )
    group.add_argument('--lr', type=float, help='highest learning rate')
    group.add_argument(
        '--seed',
        type=int,
        help='seed of weights and augmentation; the validation photos do not depend on it',
    )
    group.add_argument(
        '--time-limit',
        metavar='TIME',
        help='time from the first step, such as 20m, 1h30m or 90s, in which the training ends; '
        'its schedules are shortened to end with it',
    )
    group.add_argument('--workers', type=int, metavar='N', help='processes that load images')
    add_balance_argument(group)
    group.add_argument(
        '--verbose',
        action='store_true',
        help='show config, hooks and parameter groups on the terminal as well as in the log file',
    )
    group.add_argument(
        '--no-baselines',
        action='store_true',
        help='do not compare the result with baselines from the largest class and from colours',
    )
    _add_frozen_arguments(parser)


def _add_frozen_arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group('for photos-frozen, which trains only a classifier')
    group.add_argument(
        '--classifier',
        choices=CLASSIFIERS,
        help='how the class follows from the features of a photo: by a linear layer (default), or '
        'by the nearest of the mean features of the classes',
    )
    group.add_argument(
        '--penalty',
        type=float,
        metavar='X',
        help='penalty of the linear layer; default: the best in a cross-validation on the '
        'training photos',
    )
    group.add_argument(
        '--backbone',
        metavar='NAME',
        help='also for photos: the network of the weights of --pretrained FILE, if it is not '
        'recognised; a model of the index, or timm/NAME',
    )

"""Add the arguments that change how a recipe trains."""

import argparse

CLASSIFIERS = ('linear', 'nearest-mean')
BALANCES = ('none', 'sampler', 'loss')


def add_training_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the most common options of a training, as short forms of ``--cfg-options``.

    Args:
        parser: The parser of the tool that trains.
    """
    group = parser.add_argument_group('what is changed most often; the rest of a recipe follows')
    group.add_argument('--epochs', type=int, metavar='N', help='passes over the images')
    group.add_argument(
        '--batch-size',
        type=int,
        metavar='N',
        help='images of a step on each device; the learning rate follows unless --lr names it',
    )
    group.add_argument(
        '--img-size', type=int, metavar='PIXELS', help='height and width of the images'
    )
    group.add_argument('--lr', type=float, help='highest learning rate')
    group.add_argument(
        '--seed', type=int, help='of weights and augmentation; which photos validate stays'
    )
    group.add_argument(
        '--time-limit',
        metavar='TIME',
        help='end in time, the schedule run to its end: 20m, 1h30m, 90s, from the first step on',
    )
    group.add_argument('--workers', type=int, metavar='N', help='processes that load images')
    group.add_argument(
        '--balance',
        choices=BALANCES,
        help='with --data-root: what rare classes get; sampler: each class is drawn equally '
        'often; loss: each class weighs equally in the loss',
    )
    group.add_argument(
        '--verbose',
        action='store_true',
        help='show config, hooks and parameter groups on the terminal, too; the log file has them',
    )
    group.add_argument(
        '--no-baselines',
        action='store_true',
        help='do not score the largest class and colour histograms beside the result',
    )
    _add_frozen_arguments(parser)


def _add_frozen_arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group('for photos-frozen, which trains a classifier alone')
    group.add_argument(
        '--classifier',
        choices=CLASSIFIERS,
        help='what names a photo by its features: a linear layer (default), or the nearest of '
        'the mean features of the classes',
    )
    group.add_argument(
        '--penalty',
        type=float,
        metavar='X',
        help='of the linear layer; default: chosen by cross-validation on the training photos',
    )
    group.add_argument(
        '--backbone',
        metavar='NAME',
        help='for photos, too: the network that the weights of --pretrained FILE are for, if it '
        'is not found out: a model of the index, or timm/NAME',
    )

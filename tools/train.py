"""Train a classifier from a config: ``python tools/train.py CONFIG [--data NAME]``."""

import argparse
from collections.abc import Sequence

from vit_plugins.command_line.arguments import add_shared_arguments
from vit_plugins.command_line.data_arguments import SUBSETS, add_folder_arguments
from vit_plugins.command_line.in_words import run_in_words
from vit_plugins.command_line.late_import import run_command
from vit_plugins.command_line.training_arguments import add_training_arguments


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description='Train a classifier.')
    parser.add_argument('config', help='recipe by name, as photos, or a config file')
    add_shared_arguments(parser)
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        metavar='CHECKPOINT',
        help='continue from this checkpoint; without a name, from the newest complete one of the '
        'work dir',
    )
    parser.add_argument(
        '--pretrained',
        metavar='FILE',
        help='start from these weights (official, timm or OpenMMLab file, or a name of the model '
        'index) with a new classifier',
    )
    parser.add_argument(
        '--fraction',
        type=float,
        metavar='F',
        help='train on this fraction of the images of each class, with 1 / F times as many '
        'epochs; 0.05 is the smallest fraction in Table 2 of ConViT',
    )
    parser.add_argument(
        '--subset',
        choices=SUBSETS,
        default='first',
        help='which images --fraction keeps: the first ones by name (as ConViT does), or random '
        'ones; default: first',
    )
    parser.add_argument(
        '--check',
        action='store_true',
        help='only build everything, train one step and validate one batch',
    )
    parser.add_argument(
        '--no-validate',
        action='store_true',
        help='train on all images, without validation',
    )
    parser.add_argument(
        '--auto-scale-lr',
        action='store_true',
        help='scale the learning rate in proportion to the batch size of all devices together',
    )
    parser.add_argument(
        '--no-persistent-workers',
        action='store_true',
        help='start the workers of the dataloaders again in each epoch',
    )
    add_training_arguments(parser)
    add_folder_arguments(parser)
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Train a model, or check that the training can start."""
    run_command('train', parse_args(argv))


if __name__ == '__main__':
    run_in_words(main)

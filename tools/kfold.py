"""Train and validate on each fold of a small dataset: ``python tools/kfold.py CONFIG``."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from vit_plugins.command_line.arguments import add_options_argument
from vit_plugins.command_line.data_arguments import (
    add_balance_argument,
    add_data_arguments,
    add_folder_arguments,
)
from vit_plugins.command_line.late_import import run_command
from vit_plugins.command_line.tool_parser import tool_parser

DESCRIPTION = """\
Split the training images into K folds, train K times, each time with another fold held out for
validation, and print mean and standard deviation. Images that the config validates or tests on
(with --data-root those of val/ and test/) are not used. With --group-by, folds hold whole groups.

If the command is started again, finished folds are kept and an interrupted fold is resumed.
Options that are not listed below are passed to tools/train.py, for example --amp.
"""


def parse_args(argv: Sequence[str] | None = None) -> tuple[argparse.Namespace, list[str]]:
    """Read the command line; what is left goes to ``tools/train.py``."""
    parser = tool_parser(DESCRIPTION)
    parser.add_argument('config', help='recipe by name, as photos, or a config file')
    parser.add_argument(
        '--num-splits', type=int, default=5, metavar='K', help='number of folds; default: 5'
    )
    parser.add_argument('--seed', type=int, default=0, help='seed of the split; default: 0')
    parser.add_argument(
        '--work-dir', type=Path, help='folder for the folds; default: work_dirs/kfold/CONFIG'
    )
    add_data_arguments(parser)
    add_folder_arguments(parser)
    add_balance_argument(parser)
    parser.add_argument(
        '--img-size',
        type=int,
        metavar='PIXELS',
        help='height and width of the images, as for tools/train.py',
    )
    parser.add_argument(
        '--no-verify',
        action='store_true',
        help='with --data-root: do not check first that every image can be opened',
    )
    add_options_argument(parser)
    return parser.parse_known_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Run the folds that are not finished, and print the result of all folds."""
    args, options = parse_args(argv)
    run_command('kfold', args, options)


if __name__ == '__main__':
    main()

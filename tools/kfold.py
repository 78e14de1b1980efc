"""Train and validate on each fold of a small dataset: ``python tools/kfold.py CONFIG``."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from vit_plugins.command_line.arguments import ConfigOptions
from vit_plugins.command_line.data_arguments import add_data_arguments, add_skip_argument
from vit_plugins.command_line.late_import import run_command

DESCRIPTION = """\
Cut the training images into K folds, train K times, each time validating on the fold left out,
and print mean and standard deviation. Images that the config validates or tests on (with
--data-root those of val/ and test/) are not used.

Started again, it goes on: folds that are done stay, one that was cut off resumes. All options that
are not named below go to tools/train.py, such as --amp.
"""


def parse_args(argv: Sequence[str] | None = None) -> tuple[argparse.Namespace, list[str]]:
    """Read the command line; what is left goes to ``tools/train.py``."""
    parser = argparse.ArgumentParser(
        description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='config file')
    parser.add_argument(
        '--num-splits', type=int, default=5, metavar='K', help='number of folds; 5'
    )
    parser.add_argument('--seed', type=int, default=0, help='seed of the split; 0')
    parser.add_argument(
        '--work-dir', type=Path, help='folder of the folds; work_dirs/kfold/CONFIG'
    )
    add_data_arguments(parser)
    add_skip_argument(parser)
    parser.add_argument(
        '--img-size', type=int, metavar='N', help='images of N pixels, as for tools/train.py'
    )
    parser.add_argument(
        '--no-verify', action='store_true', help='with --data-root: do not open every image first'
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=ConfigOptions,
        default={},
        help='settings that replace those of the config, as for tools/train.py',
    )
    return parser.parse_known_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Run the folds that are not done and print what all of them say."""
    args, options = parse_args(argv)
    run_command('kfold', args, options)


if __name__ == '__main__':
    main()

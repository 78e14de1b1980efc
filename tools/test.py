"""Test a trained classifier: ``python tools/test.py CONFIG CHECKPOINT`` or ``... WORK_DIR``."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from vit_plugins.command_line.arguments import add_shared_arguments
from vit_plugins.command_line.data_arguments import add_folder_arguments
from vit_plugins.command_line.in_words import run_in_words
from vit_plugins.command_line.late_import import run_command
from vit_plugins.command_line.out_file import check_out


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description='Test a trained classifier.')
    parser.add_argument('config', help='config file, or the work dir of a training')
    parser.add_argument(
        'checkpoint',
        nargs='?',
        help='checkpoint file, or a name of the model index; default: the best checkpoint of the '
        'work dir, or the newest if none is marked as best',
    )
    add_shared_arguments(parser)
    add_folder_arguments(parser)
    parser.add_argument('--out', help='file for the results: .csv, .json or .pkl')
    parser.add_argument(
        '--out-item',
        choices=['metrics', 'pred'],
        help='content of --out; default: the predictions',
    )
    parser.add_argument(
        '--crop-ratio',
        type=float,
        metavar='R',
        help='the fraction of the short side that the centre crop shows, within (0, 1]: images '
        'are first resized to the input size divided by R',
    )
    parser.add_argument(
        '--tta', action='store_true', help='average the predictions of each image and its flip'
    )
    parser.add_argument('--show-dir', help='folder for pictures of the predictions')
    parser.add_argument('--show', action='store_true', help='show the predictions in a window')
    parser.add_argument(
        '--interval', type=int, default=1, help='plot every N-th image; default: 1'
    )
    parser.add_argument(
        '--wait-time', type=float, default=2, help='seconds that a window is shown; default: 2'
    )
    args = parser.parse_args(argv)
    if args.out is None and args.out_item is not None:
        parser.error('--out-item sets the content of --out FILE: give --out as well')
    if args.out is not None:
        check_out(parser, args.out, args.out_item or 'pred')
    if args.checkpoint is None and not Path(args.config).is_dir():
        parser.error('give a checkpoint, or a work dir in place of the config')
    return args


def main(argv: Sequence[str] | None = None) -> object:
    """Test and return what was measured."""
    return run_command('test', parse_args(argv))


if __name__ == '__main__':
    run_in_words(main)

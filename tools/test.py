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
        help='checkpoint file, or a name of the model index; may be left out if a work dir is '
        'given: the best one there, or else the newest',
    )
    add_shared_arguments(parser)
    add_folder_arguments(parser)
    parser.add_argument('--out', help='file for the results: .csv, .json or .pkl')
    parser.add_argument(
        '--out-item',
        choices=['metrics', 'pred'],
        help='what --out holds; the predictions if not said',
    )
    parser.add_argument(
        '--crop-ratio',
        type=float,
        metavar='R',
        help='share of the short side that the centre crop shows, within (0, 1]: images are '
        'resized to the input size over R first',
    )
    parser.add_argument('--tta', action='store_true', help='average over flipped images too')
    parser.add_argument('--show-dir', help='folder for pictures of the predictions')
    parser.add_argument('--show', action='store_true', help='show the predictions in a window')
    parser.add_argument('--interval', type=int, default=1, help='plot every N-th image')
    parser.add_argument('--wait-time', type=float, default=2, help='seconds a window stays')
    args = parser.parse_args(argv)
    if args.out is None and args.out_item is not None:
        parser.error('--out-item says what --out FILE holds: give --out too')
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

"""Predict the classes of images with a trained model.

python tools/predict.py work_dirs/convit_drloc_folder photo.jpg more_photos --out classes.csv
python tools/predict.py work_dirs/photos/epoch_9.pth "photos/**/*.jpg" https://example.org/a.jpg
find photos -name "*.png" | python tools/predict.py work_dirs/photos - --out classes.jsonl
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from vit_plugins.command_line.late_import import run_command
from vit_plugins.command_line.model_arguments import add_device_argument, add_model_arguments
from vit_plugins.command_line.tool_parser import tool_parser


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line.

    Args:
        argv: The arguments. Default: those of the process.
    """
    parser = tool_parser(__doc__)
    parser.add_argument(
        'work_dir',
        metavar='WORK_DIR|CHECKPOINT',
        type=Path,
        help='the work dir of a training run, or a checkpoint with its config beside it',
    )
    parser.add_argument(
        'images',
        nargs='+',
        metavar='IMAGES',
        help='image files, folders, globs in quotes, addresses (http, https, file); with - they '
        'are read from standard input, one per line, as they arrive',
    )
    parser.add_argument(
        '--out',
        type=Path,
        help='FILE.csv, FILE.json or FILE.jsonl (a line of JSON for each image); default: a table '
        'on the terminal',
    )
    parser.add_argument(
        '--top-k', type=int, default=5, help='number of classes for each image; default: 5'
    )
    add_model_arguments(parser)
    parser.add_argument(
        '--batch-size',
        type=int,
        default=32,
        help='images that are computed at once; with 1, - answers each name at once; default: 32',
    )
    parser.add_argument('--workers', type=int, help='number of processes that load photos')
    add_device_argument(parser)
    args = parser.parse_args(argv)
    if not args.work_dir.exists():
        parser.error(
            f'there is no {args.work_dir}: give the work dir of a training run, or a checkpoint'
        )
    if args.out and args.out.suffix not in ('.csv', '.json', '.jsonl'):
        parser.error(f'--out must end in .csv, .json or .jsonl, got {args.out}')
    if args.top_k < 1 or args.batch_size < 1:
        parser.error('--top-k and --batch-size must be 1 or more')
    return args


def main(argv: list[str] | None = None) -> int:
    """Classify the images; the exit code is 1 if none could be read."""
    return run_command('predict', parse_args(argv))


if __name__ == '__main__':
    sys.exit(main())

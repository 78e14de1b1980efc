"""Write the results of a training as one page that can be sent to a colleague.

python tools/report.py work_dirs/photos
python tools/report.py work_dirs/photos work_dirs/photos_2 --out photos.html

The page needs no other file and no network. It shows the curves, the final numbers next to
baselines, each class, the confusion matrix with photos, the mistakes with the highest confidence,
labels that are likely wrong, and the config. Several trainings are shown side by side. An example
is in docs/report.md.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from vit_plugins.command_line.late_import import run_command
from vit_plugins.command_line.model_arguments import (
    add_device_argument,
    add_model_arguments,
    require_work_dir,
)
from vit_plugins.command_line.tool_parser import tool_parser


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line.

    Args:
        argv: The arguments. Default: those of the process.
    """
    parser = tool_parser(__doc__)
    parser.add_argument(
        'work_dirs',
        nargs='+',
        metavar='WORK_DIR',
        type=Path,
        help='the work dir of a training run; differences are those to the first one',
    )
    parser.add_argument(
        '--out',
        type=Path,
        metavar='FILE.html',
        help='default: WORK_DIR/report.html, for several trainings ./report.html',
    )
    parser.add_argument(
        '--no-baselines',
        action='store_true',
        help='do not compute the accuracy from colours alone, which takes up to a minute',
    )
    add_model_arguments(parser)
    add_device_argument(parser)
    args = parser.parse_args(argv)
    for folder in args.work_dirs:
        require_work_dir(parser, folder)
    if len(args.work_dirs) > 1 and (args.config or args.checkpoint):
        parser.error('--config and --checkpoint need a single WORK_DIR')
    if args.out is not None and args.out.suffix.lower() not in ('.html', '.htm'):
        parser.error(f'--out must end in .html, got {args.out}')
    alone = len(args.work_dirs) == 1
    args.out = args.out or (args.work_dirs[0] if alone else Path()) / 'report.html'
    return args


def main(argv: list[str] | None = None) -> int:
    """Write the page and print its path."""
    return run_command('report', parse_args(argv))


if __name__ == '__main__':
    sys.exit(main())

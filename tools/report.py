"""Write what came out of a training as one page, to be sent to a colleague.

python tools/report.py work_dirs/photos
python tools/report.py work_dirs/photos work_dirs/photos_2 --out photos.html

The page needs no other file and no network: curves, final numbers beside baselines, each class,
the confusion matrix with its photos, the surest mistakes, likely wrong labels, the config. Of
several trainings it shows them side by side. docs/report.md shows one.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from vit_plugins.command_line.late_import import run_command


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line.

    Args:
        argv: The arguments. Default: those of the process.
    """
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        'work_dirs',
        nargs='+',
        metavar='WORK_DIR',
        type=Path,
        help='the work dir of a training run; differences are told against the first one',
    )
    parser.add_argument(
        '--out',
        type=Path,
        metavar='FILE.html',
        help='default: WORK_DIR/report.html, of several ./report.html',
    )
    parser.add_argument(
        '--no-baselines',
        action='store_true',
        help='do not compute what colours alone tell, which takes a minute at most',
    )
    parser.add_argument('--config', type=Path, help='default: the one in the work dir')
    parser.add_argument('--checkpoint', type=Path, help='default: the best, else the newest')
    parser.add_argument('--device', help='cpu, cuda, cuda:1 ...; default: a GPU if there is one')
    args = parser.parse_args(argv)
    for folder in args.work_dirs:
        if not folder.is_dir():
            parser.error(f'{folder} is not a folder: give the work dir of a training run')
    if len(args.work_dirs) > 1 and (args.config or args.checkpoint):
        parser.error('--config and --checkpoint go with one WORK_DIR')
    if args.out is not None and args.out.suffix.lower() not in ('.html', '.htm'):
        parser.error(f'--out must end in .html, got {args.out}')
    alone = len(args.work_dirs) == 1
    args.out = args.out or (args.work_dirs[0] if alone else Path()) / 'report.html'
    return args


def main(argv: list[str] | None = None) -> int:
    """Write the page and print where it lies."""
    return run_command('report', parse_args(argv))


if __name__ == '__main__':
    sys.exit(main())

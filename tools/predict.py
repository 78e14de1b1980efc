"""Name what is on images, with the model of a training run.

python tools/predict.py work_dirs/convit_drloc_folder photo.jpg more_photos --out classes.csv
python tools/predict.py work_dirs/photos/epoch_9.pth "photos/**/*.jpg" https://example.org/a.jpg
find photos -name "*.png" | python tools/predict.py work_dirs/photos - --out classes.jsonl
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
        'work_dir',
        metavar='WORK_DIR|CHECKPOINT',
        type=Path,
        help='the work dir of a training run, or a checkpoint with its config beside it',
    )
    parser.add_argument(
        'images',
        nargs='+',
        metavar='IMAGES',
        help='image files, folders, globs in quotes, addresses (http, https, file); - reads such '
        'names from standard input, one a line, as they come',
    )
    parser.add_argument(
        '--out',
        type=Path,
        help='FILE.csv, FILE.json or FILE.jsonl (a line of JSON for each image); default: a table',
    )
    parser.add_argument('--top-k', type=int, default=5, help='classes per image')
    parser.add_argument('--config', type=Path, help='default: the one in the work dir')
    parser.add_argument('--checkpoint', type=Path, help='default: the best, else the newest')
    parser.add_argument(
        '--batch-size', type=int, default=32, help='with -, 1 answers each name at once'
    )
    parser.add_argument('--workers', type=int, help='processes that read photos')
    parser.add_argument('--device', help='cpu, cuda, cuda:1 ...; default: a GPU if there is one')
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

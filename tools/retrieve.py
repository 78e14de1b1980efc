"""Search photos by similarity, with a trained or a published model.

python tools/retrieve.py index my_gallery photos --work-dir work_dirs/retrieval_digits
python tools/retrieve.py query my_gallery question.jpg --out found
python tools/retrieve.py index my_gallery photos --sync
python tools/retrieve.py remove my_gallery photos/old
python tools/retrieve.py info my_gallery
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from vit_plugins.command_line.late_import import run_command
from vit_plugins.command_line.model_arguments import add_device_argument, add_model_arguments
from vit_plugins.command_line.tool_parser import tool_parser


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line.

    Args:
        argv: The arguments. Default: those of the process.
    """
    parser = tool_parser(__doc__)
    commands = parser.add_subparsers(dest='command', required=True)
    index = commands.add_parser('index', help='create a gallery, or add photos to it')
    index.add_argument('gallery', type=Path, help='folder of the gallery')
    index.add_argument('images', nargs='+', help='image files, folders, globs in quotes')
    model = index.add_mutually_exclusive_group()
    model.add_argument(
        '--work-dir',
        type=Path,
        help='the work dir of any training run, or a checkpoint; of a classifier, the pooled '
        'features are used',
    )
    model.add_argument(
        '--pretrained',
        metavar='NAME',
        help='a model with published weights, of `vit-plugins list` or of MMPretrain',
    )
    index.add_argument(
        '--sync',
        action='store_true',
        help='also replace photos that changed, and remove photos that no longer exist, among the '
        'given files',
    )
    add_model_arguments(index)
    index.add_argument(
        '--kind',
        choices=['exact', 'approximate'],
        help='exact (default), or approximate for large galleries; it cannot be changed later',
    )
    query = commands.add_parser('query', help='find the photos most similar to an image')
    query.add_argument('gallery', type=Path, help='folder of the gallery')
    query.add_argument('images', nargs='+', help='image files, folders, globs, addresses')
    query.add_argument('--out', type=Path, required=True, help='folder for the results')
    query.add_argument(
        '--top-k', type=int, default=10, help='number of photos for each image; default: 10'
    )
    query.add_argument(
        '--group-above',
        type=float,
        metavar='SIMILARITY',
        help='group a photo with a better one if the two are at least so similar, for example '
        '0.95',
    )
    query.add_argument('--config', type=Path, help='config in place of that in the gallery')
    query.add_argument('--checkpoint', type=Path, help='path of the weights, if they were moved')
    for command in (index, query):
        command.add_argument(
            '--batch-size',
            type=int,
            default=32,
            help='photos that are computed at once; default: 32',
        )
        command.add_argument('--workers', type=int, help='number of processes that load photos')
        add_device_argument(command)
    remove = commands.add_parser(
        'remove', help='remove photos from a gallery; the files are not deleted'
    )
    remove.add_argument('gallery', type=Path, help='folder of the gallery')
    remove.add_argument(
        'images', nargs='+', help='files, folders and globs; the photos need not exist any more'
    )
    info = commands.add_parser('info', help='show what a gallery contains and if it is up to date')
    info.add_argument('gallery', type=Path, help='folder of the gallery')
    args = parser.parse_args(argv)
    if getattr(args, 'batch_size', 1) < 1 or getattr(args, 'top_k', 1) < 1:
        parser.error('--top-k and --batch-size must be 1 or more')
    if not -1 <= (getattr(args, 'group_above', None) or 0) <= 1:
        parser.error(f'--group-above is a cosine, from -1 to 1, got {args.group_above}')
    return args


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command."""
    return run_command('retrieve', parse_args(argv))


if __name__ == '__main__':
    sys.exit(main())

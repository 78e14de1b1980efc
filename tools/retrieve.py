"""Search photos by similarity, with the model of a training run or a published one.

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


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line.

    Args:
        argv: The arguments. Default: those of the process.
    """
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest='command', required=True)
    index = commands.add_parser('index', help='make a gallery, or add photos to it')
    index.add_argument('gallery', type=Path, help='folder of the gallery')
    index.add_argument('images', nargs='+', help='image files, folders, globs in quotes')
    model = index.add_mutually_exclusive_group()
    model.add_argument(
        '--work-dir',
        type=Path,
        help='of any training run, or a checkpoint; of a classifier the pooled features are used',
    )
    model.add_argument(
        '--pretrained',
        metavar='NAME',
        help='a model with published weights: `vit-plugins list`, or of MMPretrain',
    )
    index.add_argument(
        '--sync',
        action='store_true',
        help='of the files named, also replace changed photos and remove those that are gone',
    )
    index.add_argument('--config', type=Path, help='default: the one in the work dir')
    index.add_argument('--checkpoint', type=Path, help='default: the best, else the newest')
    index.add_argument(
        '--kind',
        choices=['exact', 'approximate'],
        help='exact (default), or approximate for large galleries; fixed when it is made',
    )
    query = commands.add_parser('query', help='find the photos most similar to an image')
    query.add_argument('gallery', type=Path, help='folder of the gallery')
    query.add_argument('images', nargs='+', help='image files, folders, globs, addresses')
    query.add_argument('--out', type=Path, required=True, help='folder for the results')
    query.add_argument('--top-k', type=int, default=10, help='photos per image')
    query.add_argument(
        '--group-above',
        type=float,
        metavar='SIMILARITY',
        help='show photos that are at least so similar to a better one below it (0.95, say)',
    )
    query.add_argument('--config', type=Path, help='in place of the settings in the gallery')
    query.add_argument('--checkpoint', type=Path, help='where the weights lie now, if moved')
    for command in (index, query):
        command.add_argument('--batch-size', type=int, default=32)
        command.add_argument('--workers', type=int, help='processes that read photos')
        command.add_argument('--device', help='cpu, cuda, cuda:1 ...; default: a GPU if any')
    remove = commands.add_parser('remove', help='take photos out of a gallery, not off the disk')
    remove.add_argument('gallery', type=Path, help='folder of the gallery')
    remove.add_argument('images', nargs='+', help='files, folders and globs, also of gone photos')
    info = commands.add_parser('info', help='what a gallery holds, and whether it is up to date')
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

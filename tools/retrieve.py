"""Search photos by similarity, with the model of a training run.

python tools/retrieve.py index my_gallery photos --work-dir work_dirs/retrieval_digits
python tools/retrieve.py query my_gallery question.jpg --out found
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path


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
    index.add_argument('images', nargs='+', help='image files, or folders that hold them')
    index.add_argument('--work-dir', type=Path, help='of a training run: its config and weights')
    index.add_argument('--config', type=Path, help='default: the one in the work dir')
    index.add_argument('--checkpoint', type=Path, help='default: the best, else the newest')
    index.add_argument(
        '--kind',
        choices=['exact', 'approximate'],
        help='exact (default), or approximate for large galleries; fixed when it is made',
    )
    query = commands.add_parser('query', help='find the photos most similar to an image')
    query.add_argument('gallery', type=Path, help='folder of the gallery')
    query.add_argument('images', nargs='+', help='image files, or folders that hold them')
    query.add_argument('--out', type=Path, required=True, help='folder for the results')
    query.add_argument('--top-k', type=int, default=10, help='photos per image')
    query.add_argument('--config', type=Path, help='in place of the settings in the gallery')
    query.add_argument('--checkpoint', type=Path, help='where the weights lie now, if moved')
    for command in (index, query):
        command.add_argument('--batch-size', type=int, default=32)
        command.add_argument('--workers', type=int, help='reading processes')
        command.add_argument('--device', help='cpu, cuda, cuda:1 ...; default: a GPU if any')
    args = parser.parse_args(argv)
    if args.batch_size < 1 or getattr(args, 'top_k', 1) < 1:
        parser.error('--top-k and --batch-size must be 1 or more')
    return args


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command."""
    args = parse_args(argv)
    from vit_plugins.command_line.commands.retrieve import run  # it takes seconds

    return run(args)


if __name__ == '__main__':
    sys.exit(main())

"""Write slim weights of a training with a model card, its config and a model index.

python tools/publish.py work_dirs/convit_drloc_folder published/flowers --license CC-BY-4.0
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
    parser.add_argument('work_dir', type=Path, help='the work dir of a training run')
    parser.add_argument('out_dir', type=Path, help='an empty folder; made if absent')
    parser.add_argument('--name', help='name of the model; default: name of its config')
    parser.add_argument(
        '--license', default='not stated', help='licence of the weights, such as Apache-2.0'
    )
    parser.add_argument(
        '--raw',
        action='store_true',
        help='the weights of the last step, where the training averaged them (EMA)',
    )
    parser.add_argument('--config', type=Path, help='default: the one in the work dir')
    parser.add_argument('--checkpoint', type=Path, help='default: the best, else the newest')
    args = parser.parse_args(argv)
    if not args.work_dir.is_dir():
        parser.error(f'{args.work_dir} is not a folder: give the work dir of a training run')
    return args


def main(argv: list[str] | None = None) -> int:
    """Publish a model and print what was written."""
    return run_command('publish', parse_args(argv))


if __name__ == '__main__':
    sys.exit(main())

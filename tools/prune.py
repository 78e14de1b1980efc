"""Prune a trained ConViT by its gates: print the accuracy before and after, and the speed gained.

python tools/prune.py work_dirs/convit_drloc_digits
python tools/prune.py work_dirs/convit --threshold 0.05 --data-root data/imagenet

Heads whose gate is at most --threshold attend by content alone, heads whose gate is at least
1 - threshold by position alone. In a program: prune_gates of vit_plugins.inference.gate_pruning.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from vit_plugins.command_line.data_arguments import add_data_arguments, add_skip_argument
from vit_plugins.command_line.late_import import run_command


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line.

    Args:
        argv: The arguments. Default: those of the process.
    """
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('work_dir', type=Path, help='the work dir of a training run')
    parser.add_argument(
        '--threshold',
        type=float,
        default=0.01,
        metavar='T',
        help='distance to 0 or 1 up to which a gate counts as closed, below 0.5; 0.01',
    )
    add_data_arguments(parser)
    add_skip_argument(parser, '')
    parser.add_argument('--config', type=Path, help='default: the one in the work dir')
    parser.add_argument('--checkpoint', type=Path, help='default: the best, else the newest')
    parser.add_argument('--device', help='cpu, cuda, cuda:1 ...; default: a GPU if there is one')
    args = parser.parse_args(argv)
    if not 0 <= args.threshold < 0.5:
        parser.error(f'--threshold must be at least 0 and below 0.5, got {args.threshold}')
    if not args.work_dir.is_dir():
        parser.error(f'{args.work_dir} is not a folder: give the work dir of a training run')
    return args


def main(argv: Sequence[str] | None = None) -> int:
    """Prune a model and print what that costs and gains."""
    return run_command('prune', parse_args(argv))


if __name__ == '__main__':
    sys.exit(main())

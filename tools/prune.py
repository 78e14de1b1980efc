"""Prune a trained ConViT by its gates: print the accuracy before and after, and the speed gained.

python tools/prune.py work_dirs/convit_drloc_digits
python tools/prune.py work_dirs/convit --threshold 0.05 --data-root data/imagenet

Heads whose gate is at most --threshold then attend by content only, and heads whose gate is at
least 1 - threshold by position only. In Python this is prune_gates of
vit_plugins.inference.gate_pruning.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from vit_plugins.command_line.data_arguments import add_data_arguments, add_skip_argument
from vit_plugins.command_line.late_import import run_command
from vit_plugins.command_line.model_arguments import (
    add_device_argument,
    add_model_arguments,
    add_work_dir_argument,
    require_work_dir,
)
from vit_plugins.command_line.tool_parser import tool_parser


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line.

    Args:
        argv: The arguments. Default: those of the process.
    """
    parser = tool_parser(__doc__)
    add_work_dir_argument(parser)
    parser.add_argument(
        '--threshold',
        type=float,
        default=0.01,
        metavar='T',
        help='largest distance from 0 or 1 at which a gate is pruned, below 0.5; default: 0.01',
    )
    add_data_arguments(parser)
    add_skip_argument(parser, '')
    add_model_arguments(parser)
    add_device_argument(parser)
    args = parser.parse_args(argv)
    if not 0 <= args.threshold < 0.5:
        parser.error(f'--threshold must be at least 0 and below 0.5, got {args.threshold}')
    require_work_dir(parser, args.work_dir)
    return args


def main(argv: Sequence[str] | None = None) -> int:
    """Prune a model and print the change of accuracy and speed."""
    return run_command('prune', parse_args(argv))


if __name__ == '__main__':
    sys.exit(main())

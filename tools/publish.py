"""Write the weights of a training for publication, with model card, config and model index.

python tools/publish.py work_dirs/convit_drloc_folder published/flowers --license CC-BY-4.0
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from vit_plugins.command_line.late_import import run_command
from vit_plugins.command_line.model_arguments import (
    add_model_arguments,
    add_work_dir_argument,
    require_work_dir,
)
from vit_plugins.command_line.tool_parser import tool_parser


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line.

    Args:
        argv: The arguments. Default: those of the process.
    """
    parser = tool_parser(__doc__)
    add_work_dir_argument(parser)
    parser.add_argument(
        'out_dir', type=Path, help='an empty folder for the files; it is created if necessary'
    )
    parser.add_argument('--name', help='name of the model; default: the name of its config')
    parser.add_argument(
        '--license', default='not stated', help='licence of the weights, for example Apache-2.0'
    )
    parser.add_argument(
        '--raw',
        action='store_true',
        help='publish the weights of the last step instead of their average (EMA)',
    )
    add_model_arguments(parser)
    args = parser.parse_args(argv)
    require_work_dir(parser, args.work_dir)
    return args


def main(argv: list[str] | None = None) -> int:
    """Publish a model and print which files were written."""
    return run_command('publish', parse_args(argv))


if __name__ == '__main__':
    sys.exit(main())

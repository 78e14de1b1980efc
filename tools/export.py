"""Write a trained model to a file for other programs, and compare the file with the model.

python tools/export.py work_dirs/convit_drloc_folder --format onnx
python tools/export.py work_dirs/convit_drloc_folder --format torch --dynamic-size --images photos

docs/deploy.md shows how the file is used.
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

FORMATS = {'onnx': '.onnx', 'torch': '.pt2', 'safetensors': '.safetensors'}


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line.

    Args:
        argv: The arguments. Default: those of the process.
    """
    parser = tool_parser(__doc__)
    add_work_dir_argument(parser)
    parser.add_argument('--format', choices=FORMATS, default='onnx', help='default: onnx')
    parser.add_argument(
        '--dynamic-size',
        action='store_true',
        help='allow any height and width, as any batch size is always allowed',
    )
    parser.add_argument('--half', action='store_true', help='use float16 for weights and results')
    parser.add_argument(
        '--features',
        action='store_true',
        help='export only the feature maps of the backbone, for dense prediction',
    )
    parser.add_argument('--out', type=Path, help='the file; default: WORK_DIR/export/model.*')
    parser.add_argument(
        '--images',
        nargs='+',
        metavar='IMAGE',
        help='image files or folders for the comparison; default: 8 of the test images',
    )
    add_model_arguments(parser)
    args = parser.parse_args(argv)
    require_work_dir(parser, args.work_dir)
    suffix = FORMATS[args.format]
    if args.out is not None and args.out.suffix != suffix:
        parser.error(f'--out must end in {suffix} for --format {args.format}, got {args.out}')
    args.out = args.out or args.work_dir / 'export' / f'model{suffix}'
    return args


def main(argv: list[str] | None = None) -> int:
    """Export a model and print how the file compares with it."""
    return run_command('export', parse_args(argv))


if __name__ == '__main__':
    sys.exit(main())

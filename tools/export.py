"""Write a trained model to a file for other programs, checked at once against the model.

python tools/export.py work_dirs/convit_drloc_folder --format onnx
python tools/export.py work_dirs/convit_drloc_folder --format torch --dynamic-size --images photos

docs/deploy.md shows how the file is used.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from vit_plugins.command_line.late_import import run_command

FORMATS = {'onnx': '.onnx', 'torch': '.pt2', 'safetensors': '.safetensors'}


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line.

    Args:
        argv: The arguments. Default: those of the process.
    """
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('work_dir', type=Path, help='the work dir of a training run')
    parser.add_argument('--format', choices=FORMATS, default='onnx', help='default: onnx')
    parser.add_argument(
        '--dynamic-size',
        action='store_true',
        help='height and width are free, too, as the batch size always is',
    )
    parser.add_argument('--half', action='store_true', help='weights and arithmetic in float16')
    parser.add_argument(
        '--features',
        action='store_true',
        help="export only the backbone's maps, for dense prediction",
    )
    parser.add_argument('--out', type=Path, help='the file; default: WORK_DIR/export/model.*')
    parser.add_argument(
        '--images',
        nargs='+',
        metavar='IMAGE',
        help='image files or folders to check the file on; default: 8 of the test images',
    )
    parser.add_argument('--config', type=Path, help='default: the one in the work dir')
    parser.add_argument('--checkpoint', type=Path, help='default: the best, else the newest')
    args = parser.parse_args(argv)
    if not args.work_dir.is_dir():
        parser.error(f'{args.work_dir} is not a folder: give the work dir of a training run')
    suffix = FORMATS[args.format]
    if args.out is not None and args.out.suffix != suffix:
        parser.error(f'--out must end in {suffix} for --format {args.format}, got {args.out}')
    args.out = args.out or args.work_dir / 'export' / f'model{suffix}'
    return args


def main(argv: list[str] | None = None) -> int:
    """Export a model and print how it was checked."""
    return run_command('export', parse_args(argv))


if __name__ == '__main__':
    sys.exit(main())

"""Write a trained model to a file for other programs, checked at once against the model.

python tools/export.py work_dirs/convit_drloc_folder --format onnx
python tools/export.py work_dirs/convit_drloc_folder --format torch --dynamic-size --images photos

docs/deploy.md shows how the file is used.
"""

from __future__ import annotations

import vit_plugins  # first: how threads wait is set before torch is loaded

# isort: split
import argparse
import sys
from contextlib import redirect_stdout
from pathlib import Path

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
        help="the backbone's maps alone, for dense prediction",
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


if __name__ == '__main__':
    parse_args()  # help and wrong arguments end here, before imports that take seconds

vit_plugins.register()

from mmengine.config import Config

from vit_plugins.fileio.printable_text import write_any_character
from vit_plugins.fileio.writable_folder import require_writable
from vit_plugins.inference.deployable import load_deployable
from vit_plugins.inference.export import PROGRAM, Exported, export_model, require_packages
from vit_plugins.inference.photos import gather_images
from vit_plugins.inference.sample_photos import photos_to_check
from vit_plugins.weights.choosing import find_trained


def describe_exported(exported: Exported, source: str, args: argparse.Namespace) -> str:
    """Return what was written and how it was checked, in words.

    Args:
        exported: The file.
        source: What images were compared.
        args: The arguments.
    """
    free = ['weights only'] if args.format == 'safetensors' else ['batch size free']
    if args.dynamic_size and args.format != 'safetensors':
        least = exported.least_size
        free.append('height and width free' + (f' from {least[0]} x {least[1]}' if least else ''))
    lines = [
        f'{exported.path}: {exported.path.stat().st_size / 1e6:.2f} MB, {", ".join(free)}',
        f'checked against the trained model on {source}, preprocessing included: outputs differ '
        f'by {exported.difference:.1e} at most, {exported.tolerance:.0e} is allowed',
    ]
    if args.format == 'onnx':
        lines.append(f'run it: python {exported.path.with_name(PROGRAM)} {exported.path} PHOTO')
    return '\n'.join(lines)


def main(argv: list[str] | None = None) -> Exported:
    """Export a model and print how it was checked.

    Args:
        argv: The arguments. Default: those of the process.
    """
    write_any_character()
    args = parse_args(argv)
    try:
        require_packages(args.format)
        require_writable(args.out.absolute().parent)
        path, checkpoint = find_trained(args.work_dir, args.config, args.checkpoint)
        print(f'config {path}, checkpoint {checkpoint}', file=sys.stderr)
        cfg = Config.fromfile(path)
        settings = {'features': args.features, 'dynamic_size': args.dynamic_size}
        with redirect_stdout(sys.stderr):  # the host's log
            deployable = load_deployable(cfg, checkpoint, half=args.half, **settings)
        named = gather_images(args.images)[0] if args.images else None
        with photos_to_check(cfg, named) as (photos, source):
            exported = export_model(
                deployable, args.format, args.out, photos, dynamic_size=args.dynamic_size
            )
    except (ValueError, OSError) as error:
        sys.exit(str(error))
    print(describe_exported(exported, source, args))
    return exported


if __name__ == '__main__':
    main()

"""Run ``tools/export.py`` after its arguments are read."""

from __future__ import annotations

import argparse
import shlex
import sys
from contextlib import redirect_stdout

from mmengine.config import Config

from ...fileio.printable_text import write_any_character
from ...fileio.writable_folder import require_writable
from ...inference.deployable import load_deployable
from ...inference.export import PROGRAM, Exported, export_model, require_packages
from ...inference.photo_names import gather_images
from ...inference.sample_photos import photos_to_check
from ...weights.newest_checkpoint import find_trained


def describe_exported(exported: Exported, source: str, args: argparse.Namespace) -> str:
    """Return a text that says what was written and how it was checked.

    Args:
        exported: The exported file.
        source: The images that were compared, in words.
        args: The arguments of the tool.
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
        files = shlex.join(map(str, (exported.path.with_name(PROGRAM), exported.path)))
        lines.append(f'run it: python {files} PHOTO')
    return '\n'.join(lines)


def run(args: argparse.Namespace) -> int:
    """Export a model and print how it was checked.

    Args:
        args: The arguments of the tool.

    Raises:
        SystemExit: With a message, if the model cannot be exported.
    """
    write_any_character()
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
    return 0

"""Convert a checkpoint: ``python tools/convert_checkpoint.py official.pth converted.pth``."""

import argparse
from collections.abc import Sequence

from vit_plugins.command_line.late_import import run_command

# Names of vit_plugins.weights.converting.ARCHS.
ARCH_NAMES = ['convit', 'cvt', 'deit', 'deit3', 'hybrid-vit', 't2t', 'vit', 'keep']


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description='Write the weights of an official or timm checkpoint with the names of an '
        'MMPretrain classifier. Objects in the file that are not data are left out; their code is '
        'never run. The .npz files of google-research/vision_transformer need --arch vit or '
        '--arch hybrid-vit.'
    )
    parser.add_argument('src', help='the .pth, .safetensors or .npz file to read')
    parser.add_argument('dst', help='the .pth file to write')
    parser.add_argument(
        '--arch',
        choices=ARCH_NAMES,
        default='convit',
        help='the model of the weights; with keep the names do not change, and only objects that '
        'are not data are left out; default: convit',
    )
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Convert a file."""
    run_command('convert_checkpoint', parse_args(argv))


if __name__ == '__main__':
    main()

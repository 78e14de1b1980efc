"""Convert a checkpoint: ``python tools/convert_checkpoint.py official.pth converted.pth``."""

import vit_plugins  # noqa: F401  (first: how threads wait is set before torch is loaded)

# isort: split
import argparse
import pickle
import sys
from collections.abc import Sequence

from vit_plugins.weights.converting import ARCHS, convert_checkpoint


def main(argv: Sequence[str] | None = None) -> None:
    """Read the command line and convert."""
    parser = argparse.ArgumentParser(
        description='Write the weights of an official or timm checkpoint under the names of an '
        'MMPretrain classifier. Foreign objects in the file are left out, never run. Files of '
        'google-research/vision_transformer are .npz: --arch vit or --arch hybrid-vit.'
    )
    parser.add_argument('src', help='.pth, .safetensors or .npz file to read')
    parser.add_argument('dst', help='.pth file to write')
    parser.add_argument(
        '--arch',
        choices=list(ARCHS),
        default='convit',
        help='whose names the file has; "keep" only takes foreign objects out (default: convit)',
    )
    args = parser.parse_args(argv)
    try:
        number = convert_checkpoint(args.src, args.dst, args.arch)
    except (OSError, RuntimeError, ValueError, pickle.UnpicklingError) as error:
        sys.exit(f'{type(error).__name__}: {error}')
    print(f'{args.dst}: {number} tensors')


if __name__ == '__main__':
    main()

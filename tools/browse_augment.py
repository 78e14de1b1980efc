"""Plot what the augmentation of a config does to images.

python tools/browse_augment.py CONFIG
python tools/browse_augment.py CONFIG --show crops --image photo.jpg --out crops.png

The result is a PNG file. For each image it shows the original, each member of 3-Augment on its
own (if the config has 3-Augment), and samples of the whole training pipeline with their
parameters. With --show crops it shows the boxes that RandomResizedCrop and SimpleRandomCrop crop
from each image.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from vit_plugins.command_line.arguments import add_options_argument
from vit_plugins.command_line.data_arguments import add_data_arguments
from vit_plugins.command_line.late_import import run_command
from vit_plugins.command_line.tool_parser import tool_parser


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = tool_parser(__doc__)
    parser.add_argument('config', help='recipe by name, as photos, or a config file')
    parser.add_argument(
        '--show',
        choices=['augment', 'crops'],
        default='augment',
        help='augmented images, or the boxes of crops; default: augment',
    )
    parser.add_argument(
        '--out', type=Path, help='FILE.png; default: CONFIG_augment.png or CONFIG_crops.png'
    )
    parser.add_argument(
        '--image',
        nargs='+',
        metavar='FILE',
        default=[],
        help="images in place of the config's dataset; sample:china and sample:flower are the "
        'photos that come with scikit-learn',
    )
    add_data_arguments(parser)
    parser.add_argument(
        '--num-images', type=int, default=4, help='number of images of the dataset; default: 4'
    )
    parser.add_argument(
        '--num-draws', type=int, default=4, help='number of samples of each image; default: 4'
    )
    parser.add_argument(
        '--seed', type=int, default=0, help='seed of the choice of images and of the samples'
    )
    parser.add_argument(
        '--cell', type=int, default=128, help='side of a picture in pixels; default: 128'
    )
    parser.add_argument(
        '--palette', action='store_true', help='write 256 colours: the file is a third as large'
    )
    add_options_argument(parser)
    args = parser.parse_args(argv)
    if args.out and args.out.suffix != '.png':
        parser.error(f'--out must end in .png, got {args.out}')
    if min(args.num_images, args.num_draws) < 1 or args.cell < 32:
        parser.error('--num-images and --num-draws must be 1 or more, --cell 32 or more')
    return args


def main(argv: Sequence[str] | None = None) -> None:
    """Write the sheet."""
    run_command('browse_augment', parse_args(argv))


if __name__ == '__main__':
    main()

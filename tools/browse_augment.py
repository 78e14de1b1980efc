"""Show what the augmentation of a config does to images.

python tools/browse_augment.py CONFIG
python tools/browse_augment.py CONFIG --show crops --image photo.jpg --out crops.png

A PNG: for each image the original, each member of 3-Augment on its own (where the config has
it), and draws of the whole training pipeline, with the parameters written below. With
--show crops: the boxes that RandomResizedCrop and SimpleRandomCrop cut from each image.
"""

import vit_plugins  # first: how threads wait is set before torch is loaded

# isort: split
import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from vit_plugins.command_line.arguments import ConfigOptions
from vit_plugins.command_line.data_arguments import add_data_arguments, run_name


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='config file')
    parser.add_argument(
        '--show', choices=['augment', 'crops'], default='augment', help='default: augment'
    )
    parser.add_argument(
        '--out', type=Path, help='FILE.png; default: CONFIG_augment.png or CONFIG_crops.png'
    )
    parser.add_argument(
        '--image',
        nargs='+',
        metavar='FILE',
        default=[],
        help="show these instead of the config's dataset; sample:china and sample:flower are "
        'the photos that come with scikit-learn',
    )
    add_data_arguments(parser)
    parser.add_argument(
        '--num-images', type=int, default=4, help='images of the dataset; default: 4'
    )
    parser.add_argument(
        '--num-draws', type=int, default=4, help='draws for each image; default: 4'
    )
    parser.add_argument('--seed', type=int, default=0, help='of the choice and of the draws')
    parser.add_argument(
        '--cell', type=int, default=128, help='side of a picture in pixels; default: 128'
    )
    parser.add_argument(
        '--palette', action='store_true', help='256 colours: a file a third as large'
    )
    parser.add_argument(
        '--cfg-options', nargs='+', action=ConfigOptions, help='as in tools/train.py'
    )
    args = parser.parse_args(argv)
    if args.out and args.out.suffix != '.png':
        parser.error(f'--out must end in .png, got {args.out}')
    if min(args.num_images, args.num_draws) < 1 or args.cell < 32:
        parser.error('--num-images and --num-draws must be 1 or more, --cell 32 or more')
    return args


if __name__ == '__main__':
    parse_args()  # help and wrong arguments end here, before imports that take seconds

vit_plugins.register()

from mmengine.runner import set_random_seed

from vit_plugins.config_edits.data import apply_data
from vit_plugins.config_edits.data_root import apply_data_root
from vit_plugins.config_edits.presence import MissingDataError, require_data
from vit_plugins.config_edits.reading import read_config_file
from vit_plugins.config_edits.recipe_variables import apply_options
from vit_plugins.fileio.printable_text import write_any_character
from vit_plugins.visualization.augmentation import CREDIT, SAMPLES, AugmentationSheet
from vit_plugins.visualization.sheets import picture_sheet


def read_sheet(args: argparse.Namespace) -> AugmentationSheet:
    """Build the pipeline, and find the images."""
    options = args.cfg_options or {}
    cfg = apply_options(read_config_file(args.config), options)
    if args.data is not None:
        cfg = apply_data(cfg, args.data)
        cfg.merge_from_dict(options)
    photos = args.image
    if args.data_root is not None:
        cfg = apply_data_root(cfg, args.data_root, verify=False)
    elif not photos:
        try:
            require_data(cfg, ['train'], fetch=False)
        except MissingDataError as error:
            print(f'{error}, or --image FILE\nShown: sample photos', file=sys.stderr)
            photos = [f'sample:{sample}' for sample in SAMPLES]
    if any(name.startswith('sample:') for name in photos):
        print(CREDIT, file=sys.stderr)
    return AugmentationSheet(
        cfg, photos, num_images=args.num_images, seed=args.seed, cell=args.cell
    )


def main(argv: Sequence[str] | None = None) -> None:
    """Write the sheet."""
    write_any_character()
    args = parse_args(argv)
    out = args.out or Path(f'{run_name(args)}_{args.show}.png')
    try:
        sheet = read_sheet(args)
        set_random_seed(args.seed)
        rows = (sheet.rows if args.show == 'augment' else sheet.crop_rows)(args.num_draws)
    except (ValueError, FileNotFoundError, ImportError) as error:
        sys.exit(str(error))
    picture = picture_sheet(rows, args.cell)
    if args.palette:
        picture = picture.quantize(palette=picture.quantize(256))  # dithers, given the palette
    out.parent.mkdir(parents=True, exist_ok=True)
    picture.save(out, optimize=True)
    print(f'{len(sheet.sources)} images, {args.num_draws} draws each: {out}')


if __name__ == '__main__':
    main()

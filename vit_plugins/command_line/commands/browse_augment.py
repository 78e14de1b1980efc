"""Run ``tools/browse_augment.py`` after its arguments are read."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from mmengine.runner import set_random_seed

from ...config_edits.data_root import apply_data_root
from ...config_edits.dataset_by_name import apply_data
from ...config_edits.presence import MissingDataError, require_data
from ...config_edits.reading import read_config_file
from ...config_edits.recipe_variables import apply_options
from ...fileio.printable_text import write_any_character
from ...visualization.augmentation import CREDIT, SAMPLES, AugmentationSheet
from ...visualization.sheets import picture_sheet
from ..data_arguments import run_name
from .named_config import use_named_config


def read_sheet(args: argparse.Namespace) -> AugmentationSheet:
    """Build the pipeline, and find the images."""
    options = args.cfg_options or {}
    cfg = apply_options(read_config_file(args.config), options)
    if args.data is not None:
        cfg = apply_data(cfg, args.data)
        cfg.merge_from_dict(options)
    photos = args.image
    if args.data_root is not None:
        cfg = apply_data_root(cfg, args.data_root, verify=False, data=args.data)
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


def run(args: argparse.Namespace) -> None:
    """Write the sheet."""
    write_any_character()
    use_named_config(args)
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

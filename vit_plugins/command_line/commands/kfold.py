"""Run ``tools/kfold.py`` after its arguments are read."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ...config_edits.config_check import check_config
from ...config_edits.data_root import apply_data_root, require_effect
from ...config_edits.dataset_by_name import apply_data
from ...config_edits.img_size import set_img_size
from ...config_edits.left_out import write_left_out
from ...config_edits.reading import read_config_file
from ...config_edits.recipe_variables import apply_options
from ...engine.launch import folder_options
from ...fileio.printable_text import write_any_character
from ...resources import resource_root
from ...studies.folds import FoldError, fold_table, run_folds
from ..data_arguments import run_name
from .named_config import use_named_config


def run(args: argparse.Namespace, options: list[str]) -> None:
    """Run the folds that are not done and print the result of all folds.

    Args:
        args: The arguments of the tool.
        options: Options that are passed on to ``tools/train.py``.
    """
    write_any_character()
    use_named_config(args)
    folder = args.work_dir or Path('work_dirs/kfold') / run_name(args)
    settings = args.cfg_options or {}
    train = [sys.executable, str(resource_root() / 'tools/train.py')]
    reading = folder_options(args)
    try:
        cfg = read_config_file(args.config)
        if args.img_size is None:
            cfg = apply_options(cfg, settings)
        else:  # here, as a fold is a literal file without the name `size`
            cfg = set_img_size(cfg, args.img_size, settings)
        if args.data is not None:
            cfg = apply_data(cfg, args.data)
            cfg.merge_from_dict(settings)
        check_config(cfg)
        if args.data_root is not None:
            verify = not args.no_verify
            cfg = apply_data_root(
                cfg,
                args.data_root,
                verify=verify,
                data=args.data,
                asked={'balance'} & reading.keys(),
                **reading,
            )
            if file := write_left_out(cfg, folder):
                print(f'the photos that are left out are listed in {file}')
        else:
            flags = {f'--{name.replace("_", "-")}' for name in reading}
            require_effect(flags, 'there is no --data-root')
        results = run_folds(cfg, folder, train, args.num_splits, args.seed, options)
    except (FoldError, ValueError, FileNotFoundError) as error:  # a message instead of a traceback
        raise SystemExit(str(error)) from None
    print(f'\n{fold_table(results)}')

"""Train and validate on each fold of a small dataset: ``python tools/kfold.py CONFIG``."""

import vit_plugins  # first: how threads wait is set before torch is loaded

# isort: split
import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from vit_plugins.command_line.arguments import ConfigOptions
from vit_plugins.command_line.data_arguments import add_data_arguments, run_name

DESCRIPTION = """\
Cut the training images into K folds, train K times, each time validating on the fold left out,
and print mean and standard deviation. Images that the config validates or tests on (with
--data-root those of val/ and test/) are not used.

Started again, it goes on: folds that are done stay, one that was cut off resumes. All options that
are not named below go to tools/train.py, such as --amp.
"""


def parse_args(argv: Sequence[str] | None = None) -> tuple[argparse.Namespace, list[str]]:
    """Read the command line; what is left goes to ``tools/train.py``."""
    parser = argparse.ArgumentParser(
        description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='config file')
    parser.add_argument('--num-splits', type=int, default=5, metavar='K', help='folds; 5')
    parser.add_argument('--seed', type=int, default=0, help='seed of the cut; 0')
    parser.add_argument(
        '--work-dir', type=Path, help='folder of the folds; work_dirs/kfold/CONFIG'
    )
    add_data_arguments(parser)
    parser.add_argument(
        '--no-verify', action='store_true', help='with --data-root: do not open every image first'
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=ConfigOptions,
        default={},
        help='settings that replace those of the config, as for tools/train.py',
    )
    return parser.parse_known_args(argv)


if __name__ == '__main__':
    parse_args()  # help and wrong arguments end here, before imports that take seconds

vit_plugins.register()


from vit_plugins.config_edits.config_check import check_config
from vit_plugins.config_edits.data import apply_data
from vit_plugins.config_edits.data_root import apply_data_root
from vit_plugins.config_edits.reading import read_config_file
from vit_plugins.config_edits.recipe_variables import apply_options
from vit_plugins.fileio.printable_text import write_any_character
from vit_plugins.resources import resource_root
from vit_plugins.studies.folds import FoldError, fold_table, run_folds


def main(argv: Sequence[str] | None = None) -> None:
    """Run the folds that are not done and print what all of them say."""
    write_any_character()
    args, options = parse_args(argv)
    folder = args.work_dir or Path('work_dirs/kfold') / run_name(args)
    train = [sys.executable, str(resource_root() / 'tools/train.py')]
    try:
        cfg = apply_options(read_config_file(args.config), args.cfg_options)
        if args.data is not None:
            cfg = apply_data(cfg, args.data)
            cfg.merge_from_dict(args.cfg_options)
        check_config(cfg)
        if args.data_root is not None:
            cfg = apply_data_root(cfg, args.data_root, verify=not args.no_verify)
        results = run_folds(cfg, folder, train, args.num_splits, args.seed, options)
    except (FoldError, ValueError, FileNotFoundError) as error:  # in words: no traceback needed
        raise SystemExit(str(error)) from None
    print(f'\n{fold_table(results)}')


if __name__ == '__main__':
    main()

"""Write slim weights of a training with a model card, its config and a model index.

python tools/publish.py work_dirs/convit_drloc_folder published/flowers --license CC-BY-4.0
"""

from __future__ import annotations

import vit_plugins  # first: how threads wait is set before torch is loaded

# isort: split
import argparse
import sys
from contextlib import redirect_stdout
from pathlib import Path


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line.

    Args:
        argv: The arguments. Default: those of the process.
    """
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('work_dir', type=Path, help='the work dir of a training run')
    parser.add_argument('out_dir', type=Path, help='an empty folder; made if absent')
    parser.add_argument('--name', help='of the model; default: that of its config')
    parser.add_argument(
        '--license', default='not stated', help='of the weights, such as Apache-2.0'
    )
    parser.add_argument(
        '--raw',
        action='store_true',
        help='the weights of the last step, where the training averaged them (EMA)',
    )
    parser.add_argument('--config', type=Path, help='default: the one in the work dir')
    parser.add_argument('--checkpoint', type=Path, help='default: the best, else the newest')
    args = parser.parse_args(argv)
    if not args.work_dir.is_dir():
        parser.error(f'{args.work_dir} is not a folder: give the work dir of a training run')
    return args


if __name__ == '__main__':
    parse_args()  # help and wrong arguments end here, before imports that take seconds

vit_plugins.register()

from vit_plugins.fileio.printable_text import write_any_character
from vit_plugins.inference.publish import Published, publish_model
from vit_plugins.weights.choosing import find_trained


def main(argv: list[str] | None = None) -> Published:
    """Publish a model and print what was written.

    Args:
        argv: The arguments. Default: those of the process.
    """
    write_any_character()
    args = parse_args(argv)
    try:
        config, checkpoint = find_trained(args.work_dir, args.config, args.checkpoint)
        settings = {'licence': args.license, 'name': args.name, 'raw': args.raw}
        with redirect_stdout(sys.stderr):  # the host's log
            published = publish_model(config, checkpoint, args.out_dir, **settings)
    except (ValueError, OSError) as error:
        sys.exit(str(error))
    before, after = (path.stat().st_size / 1e6 for path in (checkpoint, published.weights))
    print(f'{published.weights}: {after:.2f} MB, {before:.2f} MB with the state of the training')
    print(f'{published.folder}: README.md, {published.name}.py, model-index.yml')
    print(f'try it: python -m vit_plugins predict {published.folder} PHOTO')
    return published


if __name__ == '__main__':
    main()

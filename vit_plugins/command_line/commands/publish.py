"""Run ``tools/publish.py`` after its arguments are read."""

from __future__ import annotations

import argparse
import sys
from contextlib import redirect_stdout

from ...fileio.printable_text import write_any_character
from ...inference.publish import publish_model
from ...weights.newest_checkpoint import find_trained


def run(args: argparse.Namespace) -> int:
    """Publish a model and print what was written.

    Args:
        args: The arguments of the tool.

    Raises:
        SystemExit: With a message, if the model cannot be published.
    """
    write_any_character()
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
    print(f'try it: {published.command}')
    return 0

"""Fill the tables of the pages from what the repository keeps: ``python tools/evidence.py``."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from vit_plugins.command_line.late_import import run_command

DESCRIPTION = """\
Fill the tables of pages from the records of the studies that they name and from the published
results of configs/published.yml, and say what changed.

A table's place is <!-- settings of STUDY.yaml -->, <!-- grid of STUDY.yaml by AXIS --> or, of a
study of frozen features, <!-- table NAME of STUDY.yaml -->, of published results <!-- published
grid of GROUP --> or <!-- published rows -->, up to <!-- end -->. Records are
docs/evidence/NAME.json, which --records of tools/study.py and tools/frozen_features.py writes.
"""


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        'pages',
        nargs='*',
        type=Path,
        metavar='PAGE',
        help='docs/evidence.md and configs/*/README.md if none is given',
    )
    parser.add_argument('--check', action='store_true', help='write nothing; fail if out of date')
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Rewrite the pages, or check that they are up to date."""
    run_command('evidence', parse_args(argv))


if __name__ == '__main__':
    main()

"""Fill the tables of the pages from what the repository keeps: ``python tools/evidence.py``."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from vit_plugins.command_line.late_import import run_command

DESCRIPTION = """\
Fill the tables of pages from the records of the studies that they name and from the published
results of configs/published.yml, write their plots, and say what changed.

A table's place is <!-- settings of STUDY.yaml -->, <!-- grid of STUDY.yaml by AXIS --> or, of a
study of frozen features, <!-- table NAME of STUDY.yaml -->, of published results <!-- published
grid of GROUP --> or <!-- published rows -->, of claims and their verdicts <!-- claims of
docs/claims.yml -->, a plot's <!-- plot of STUDY.yaml -->, up to <!-- end -->. Records are
docs/evidence/NAME.json, which --records of tools/study.py and tools/frozen_features.py writes.
What `vit-plugins bench --json FILE.json` measured is shown at <!-- bench of FILE.json --> or
<!-- growth of FILE.json -->, the targets of speed at <!-- targets of FILE.yml -->.
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
        help='docs/evidence*.md, own_photos.md, performance.md and scaling.md of docs, and '
        'configs/*/README.md if '
        'no page is given',
    )
    parser.add_argument('--check', action='store_true', help='write nothing; fail if out of date')
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Rewrite the pages, or check that they are up to date."""
    run_command('evidence', parse_args(argv))


if __name__ == '__main__':
    main()

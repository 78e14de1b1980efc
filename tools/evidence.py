"""Fill the tables of the pages from what the repository keeps: ``python tools/evidence.py``."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from vit_plugins.command_line.late_import import run_command
from vit_plugins.command_line.tool_parser import tool_parser

DESCRIPTION = """\
Fill the tables of pages from the records of studies, from the published results of
configs/published.yml and from measured times; write the plots; and print what changed.

A page says with a comment where a table or plot is inserted, and with <!-- end --> where it ends:
  <!-- settings of STUDY.yaml -->        the settings of a study
  <!-- grid of STUDY.yaml by AXIS -->    its results
  <!-- plot of STUDY.yaml -->            its plot
  <!-- table NAME of STUDY.yaml -->      a table of a study of frozen features
  <!-- published grid of GROUP -->       published results
  <!-- published rows -->                published results of the recipes of this page
  <!-- claims of docs/claims.yml -->     claims and their verdicts
  <!-- bench of FILE.json -->            times from `vit-plugins bench --json FILE.json`
  <!-- growth of FILE.json -->           how these times grow with the size
  <!-- targets of FILE.yml -->           the targets of speed
The records are docs/evidence/NAME.json; --records of tools/study.py and tools/frozen_features.py
writes them.
"""


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = tool_parser(DESCRIPTION)
    parser.add_argument(
        'pages',
        nargs='*',
        type=Path,
        metavar='PAGE',
        help='default: docs/evidence*.md, own_photos.md, performance.md and scaling.md of docs, '
        'and configs/*/README.md',
    )
    parser.add_argument(
        '--check', action='store_true', help='write nothing; fail if a page is out of date'
    )
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Rewrite the pages, or check that they are up to date."""
    run_command('evidence', parse_args(argv))


if __name__ == '__main__':
    main()

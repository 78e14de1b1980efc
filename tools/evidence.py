"""Fill the tables of the pages from what the repository keeps: ``python tools/evidence.py``."""

import vit_plugins  # first: how threads wait is set before torch is loaded

# isort: split
import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

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


if __name__ == '__main__':
    parse_args()  # help and wrong arguments end here, before imports that take seconds

vit_plugins.register()


from vit_plugins.recipes.published import fill_published
from vit_plugins.studies.page import fill_page


def main(argv: Sequence[str] | None = None) -> None:
    """Rewrite the pages, or check that they are up to date."""
    args = parse_args(argv)
    root = Path(__file__).resolve().parents[1]
    pages = args.pages or [root / 'docs/evidence.md', *sorted(root.glob('configs/*/README.md'))]
    stale = []
    for page in pages:
        text = page.read_text(encoding='utf-8')
        try:
            filled = fill_published(fill_page(text, root), page.resolve().parent.name)
        except (ValueError, OSError) as error:
            sys.exit(str(error))
        if filled == text:
            print(f'{page} is up to date')
        elif args.check:
            stale.append(str(page))
        else:
            page.write_text(filled, encoding='utf-8')
            print(f'{page} is written anew')
    if stale:
        sys.exit(f'{", ".join(stale)}: not what the records say; run python tools/evidence.py')


if __name__ == '__main__':
    main()

"""Fill the tables of docs/evidence.md from docs/evidence/*.json: ``python tools/evidence.py``."""

import vit_plugins  # first: how threads wait is set before torch is loaded

# isort: split
import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

DESCRIPTION = """\
Fill the tables of a page from the records of the studies that it names, and say what changed.

A table's place is <!-- settings of STUDY.yaml -->, <!-- grid of STUDY.yaml by AXIS --> or, of a
study of frozen features, <!-- table NAME of STUDY.yaml -->, up to <!-- end -->. Records are
docs/evidence/NAME.json, which --records of tools/study.py and tools/frozen_features.py writes.
"""


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('page', nargs='?', type=Path, help='docs/evidence.md if not given')
    parser.add_argument('--check', action='store_true', help='write nothing; fail if out of date')
    return parser.parse_args(argv)


if __name__ == '__main__':
    parse_args()  # help and wrong arguments end here, before imports that take seconds

vit_plugins.register()


from vit_plugins.studies.page import fill_page


def main(argv: Sequence[str] | None = None) -> None:
    """Rewrite the page, or check that it is up to date."""
    args = parse_args(argv)
    root = Path(__file__).resolve().parents[1]
    page = args.page or root / 'docs' / 'evidence.md'
    text = page.read_text(encoding='utf-8')
    try:
        filled = fill_page(text, root)
    except (ValueError, OSError) as error:
        sys.exit(str(error))
    if filled == text:
        print(f'{page} is up to date')
    elif args.check:
        sys.exit(f'{page} is not what its records say: run python tools/evidence.py')
    else:
        page.write_text(filled, encoding='utf-8')
        print(f'{page} is written anew')


if __name__ == '__main__':
    main()

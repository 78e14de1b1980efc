"""Run ``tools/evidence.py`` after its arguments are read."""

from __future__ import annotations

import argparse
import sys

from ...benchmarks.report import fill_benchmarks
from ...recipes.pretrained_table import fill_pretrained
from ...recipes.published import fill_published
from ...resources import resource_root
from ...studies.page import fill_page, write_plots


def run(args: argparse.Namespace) -> None:
    """Rewrite the pages, or check that they are up to date."""
    root = resource_root()
    pages = args.pages or [
        *sorted(root.glob('docs/evidence*.md')),
        *(root / 'docs' / name for name in ('own_photos.md', 'performance.md', 'scaling.md')),
        *sorted(root.glob('configs/*/README.md')),
    ]
    stale = []
    for page in pages:
        text = page.read_text(encoding='utf-8')
        try:
            filled = fill_benchmarks(fill_page(text, root), root)
            filled = fill_pretrained(fill_published(filled, page.resolve().parent.name))
            pictures = write_plots(text, root, only_check=args.check)
        except (ValueError, OSError) as error:
            sys.exit(str(error))
        stale += [str(picture) for picture in pictures if args.check]
        if filled == text:
            print(f'{page} is up to date')
        elif args.check:
            stale.append(str(page))
        else:
            page.write_text(filled, encoding='utf-8')
            print(f'{page} is written anew')
    if stale:
        sys.exit(f'{", ".join(stale)}: not what the records say; run python tools/evidence.py')

"""Check all readers with changed files; for developers: ``python tools/fuzz.py``."""

import argparse
from collections.abc import Sequence


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description='Change valid files at random and see that every reader raises what it '
        'documents, in bounded time and memory. The same seed makes the same files.'
    )
    parser.add_argument('--inputs', type=int, default=20_000, help='files in all; default: 20,000')
    parser.add_argument('--reader', help='one reader only, as: photo')
    parser.add_argument('--seed', type=int, default=0, help='default: 0')
    parser.add_argument('--keep', metavar='DIR', help='folder for files that cause a fault')
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Fuzz and print a table.

    Raises:
        SystemExit: If a reader ended in anything that it does not document.
    """
    args = parse_args(argv)
    from vit_plugins import register

    register()  # allows what checkpoints of the host hold
    from vit_plugins.benchmarks.fuzzing.command import run  # it takes seconds

    run(args)


if __name__ == '__main__':
    main()

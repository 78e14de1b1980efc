"""Check all readers with changed files; for developers: ``python tools/fuzz.py``."""

import argparse
from collections.abc import Sequence


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description='Change valid files at random, and check that every reader raises only the '
        'errors that it documents, within limits of time and memory. The same seed makes the '
        'same files.'
    )
    parser.add_argument(
        '--inputs', type=int, default=20_000, help='number of files; default: 20,000'
    )
    parser.add_argument('--reader', help='check only this reader, for example photo')
    parser.add_argument('--seed', type=int, default=0, help='default: 0')
    parser.add_argument('--keep', metavar='DIR', help='folder for files that cause a fault')
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Check the readers and print a table.

    Raises:
        SystemExit: If a reader raised an error that it does not document.
    """
    args = parse_args(argv)
    from vit_plugins import register

    register()  # allows what checkpoints of the host hold
    from vit_plugins.benchmarks.fuzzing.command import run  # it takes seconds

    run(args)


if __name__ == '__main__':
    main()

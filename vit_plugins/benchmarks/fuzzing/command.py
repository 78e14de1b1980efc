"""Run ``tools/fuzz.py`` after its arguments are read."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from .readers import READERS
from .running import Outcome, changed_file, describe, fuzz

SHOWN = 5


def run(args: argparse.Namespace) -> None:
    """Fuzz the readers in turns, and print a table.

    Args:
        args: The arguments of the tool.

    Raises:
        SystemExit: If there is no such reader, or one raised an undocumented error.
    """
    names = [args.reader] if args.reader else list(READERS)
    if not set(names) <= READERS.keys():
        raise SystemExit(f'there is no reader {args.reader!r}, but {", ".join(READERS)}')
    outcomes: dict[str, Outcome] = {}
    each = -(-args.inputs // len(names))
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            outcomes[name] = fuzz(name, range(each), Path(folder), args.seed)
            print(describe({name: outcomes[name]}).splitlines()[-1], flush=True)
    print(describe(outcomes))
    faults = [(name, *fault) for name, found in outcomes.items() for fault in found.faults]
    different = {(name, text.strip().rpartition('\n')[2]): (n, text) for name, n, text in faults}
    for (name, _), (number, text) in list(different.items())[:SHOWN]:
        print(f'\n{name}, input {number} of seed {args.seed}:\n{text}')
    if args.keep:
        _keep(Path(args.keep), faults, args.seed)
    if faults:
        raise SystemExit(f'{len(faults)} inputs ended in what no documentation names')


def _keep(folder: Path, faults: list[tuple[str, int, str]], seed: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, number, _ in faults:
        reader = READERS[name]
        content = changed_file(reader, reader.seeds(), name, number, seed)
        (folder / f'{name}-{seed}-{number}{reader.suffix}').write_bytes(content)

"""A file for results, checked before hours are spent on what it will hold."""

import argparse
import os
from pathlib import Path

KINDS = {'pred': ('.csv', '.json', '.pkl'), 'metrics': ('.csv', '.json', '.yaml', '.yml', '.pkl')}


def check_out(parser: argparse.ArgumentParser, out: str, item: str) -> None:
    """Refuse a file whose kind is not known, or that cannot be written.

    Args:
        parser: The parser, which ends the command.
        out: The file.
        item: What it will hold: 'pred' or 'metrics'.
    """
    path = Path(out)
    kinds = KINDS[item]
    if path.suffix.lower() not in kinds:
        parser.error(f'--out {out}: its name must end in {", ".join(kinds)} for --out-item {item}')
    if path.is_dir():
        parser.error(f'--out {out} is a folder: name a file')
    if not path.parent.is_dir():
        parser.error(f'--out {out}: there is no folder {path.parent}; make it first')
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        parser.error(f'--out {out} cannot be written')

"""Check the file for results, before hours are spent on computing them."""

import argparse
import os
from pathlib import Path

KINDS = {'pred': ('.csv', '.json', '.pkl'), 'metrics': ('.csv', '.json', '.yaml', '.yml', '.pkl')}


def check_out(parser: argparse.ArgumentParser, out: str, item: str) -> None:
    """Check that a file has a known suffix and can be written.

    Args:
        parser: The parser, which ends the command.
        out: The file.
        item: The content of the file: 'pred' or 'metrics'.
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

"""Run ``tools/report.py`` after its arguments are read."""

from __future__ import annotations

import argparse
import sys
from contextlib import redirect_stdout

from ...fileio.printable_text import write_any_character
from ...fileio.writable_folder import require_writable
from ...report.findings import find_out
from ...report.page import write_page
from ...report.work_dir import read_run


def run(args: argparse.Namespace) -> int:
    """Write the page and print its path.

    Args:
        args: The arguments of the tool.

    Raises:
        SystemExit: With a message, if a folder holds no training or the page cannot be written.
    """
    write_any_character()
    found = []
    try:
        require_writable(args.out.absolute().parent)
        with redirect_stdout(sys.stderr):  # the host's log
            for folder in args.work_dirs:
                trained = read_run(folder, args.config, args.checkpoint)
                print(f'{folder}: checkpoint {trained.checkpoint}', file=sys.stderr)
                found.append(find_out(trained, args.device, baselines=not args.no_baselines))
            page = write_page(found, args.out)
    except (ValueError, OSError) as error:
        sys.exit(str(error))
    for problem in dict.fromkeys(problem for one in found for problem in one.problems):
        print(f'note: {problem}', file=sys.stderr)
    print(f'{page.absolute()}: {page.stat().st_size / 1e6:.2f} MB, to be opened by any browser')
    return 0

"""Run ``tools/convert_checkpoint.py`` after its arguments are read."""

from __future__ import annotations

import argparse
import pickle
import sys

from ...weights.converting import convert_checkpoint


def run(args: argparse.Namespace) -> None:
    """Convert a file."""
    try:
        number = convert_checkpoint(args.src, args.dst, args.arch)
    except (OSError, RuntimeError, ValueError, pickle.UnpicklingError) as error:
        sys.exit(f'{type(error).__name__}: {error}')
    print(f'{args.dst}: {number} tensors')

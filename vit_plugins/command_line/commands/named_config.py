"""A recipe named without its path, as ``photos``."""

from __future__ import annotations

import argparse

from ...recipes.finding import find_config, is_config_here


def use_named_config(args: argparse.Namespace) -> None:
    """Replace the name of a recipe by its packaged file, if no such file is here.

    Args:
        args: Arguments of a tool; ``config`` is changed in place.

    Raises:
        SystemExit: There is no such recipe, with the nearest ones.
    """
    if is_config_here(args.config):
        return
    try:
        args.config = str(find_config(args.config))
    except ValueError as error:
        raise SystemExit(f'{error}') from None

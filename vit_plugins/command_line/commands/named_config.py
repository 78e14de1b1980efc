"""Find a recipe that is named without its path, such as ``photos``."""

from __future__ import annotations

import argparse

from ...recipes.finding import find_config, is_config_here


def use_named_config(args: argparse.Namespace) -> None:
    """Replace the name of a recipe by its packaged file, if no file of that name exists here.

    Args:
        args: Arguments of a tool; ``config`` is changed in place.

    Raises:
        SystemExit: If there is no such recipe; the message names similar ones.
    """
    if is_config_here(args.config):
        return
    try:
        args.config = str(find_config(args.config))
    except ValueError as error:
        raise SystemExit(f'{error}') from None

"""Load a config file; for a removed one, say what replaces it."""

from __future__ import annotations

import ast
from pathlib import Path

from mmengine.config import Config

from ..command_line.gone import replacement


def read_config_file(path: str | Path) -> Config:
    """Load a config and its bases.

    Args:
        path: The file.

    Raises:
        FileNotFoundError: If the file or one of its bases does not exist; for a removed recipe
            the message says what replaces it.
        ValueError: If it is not Python, for example because it was cut off.
    """
    try:
        return Config.fromfile(path)
    except SyntaxError as error:
        where = f'a file that {path} names in _base_' if _is_python(path) else path
        raise ValueError(
            f'{where} is no whole config: line {error.lineno}, {error.msg}. Mend it, or '
            'copy it again from where it came from'
        ) from None
    except FileNotFoundError as error:
        missing = str(error.filename or path)
    other = replacement(missing)
    if not other:
        raise FileNotFoundError(
            f'there is no config file {missing}; `vit-plugins list` shows those that '
            'come with the package'
        )
    options = other.split()[1:]
    as_base = ''
    if options and Path(missing).resolve() != Path(path).resolve():
        as_base = f' (in _base_ the recipe, and {" ".join(options)} on the command line)'
    raise FileNotFoundError(f'{missing} is gone: use {other}{as_base}')


def _is_python(path: str | Path) -> bool:
    try:
        ast.parse(Path(path).read_bytes())
    except SyntaxError:
        return False
    return True

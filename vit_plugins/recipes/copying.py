"""Copy a recipe to edit it, or write it with another dataset as one file."""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from ..command_line.data_arguments import run_name
from ..config_edits.dataset_by_name import apply_data
from ..config_edits.fraction import use_fraction
from ..config_edits.literal import literal_text
from ..config_edits.reading import read_config_file
from ..resources import resource_root
from .finding import find_config, with_bases


def copy_config(name: str, folder: str | Path, force: bool = False) -> Path:
    """Copy a recipe and the files it stands on, so that the copy can be edited and trained.

    Args:
        name: As :func:`find_config` takes it.
        folder: Where to; the recipe keeps its place relative to ``configs/``.
        force: Whether to replace files that are there and differ.

    Returns:
        The copied recipe.

    Raises:
        ValueError: There is no such recipe.
        FileExistsError: A file that differs is in the way.
    """
    root = (resource_root() / 'configs').resolve()
    config = find_config(name).resolve()
    targets = {file: Path(folder) / file.relative_to(root) for file in with_bases(config)}
    for file, target in targets.items():
        if target.exists() and not force and target.read_bytes() != file.read_bytes():
            raise FileExistsError(f'{target} is there and differs; --force replaces it')
    for file, target in targets.items():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)
    return targets[config]


def write_literal(
    name: str,
    folder: str | Path,
    data: str | None = None,
    fraction: float | None = None,
    force: bool = False,
) -> Path:
    """Write a recipe with its dataset as one file that stands on no other.

    Args:
        name: As :func:`find_config` takes it.
        folder: Where to.
        data: The dataset, as ``--data`` of the tools; None for that of the recipe.
        fraction: The part of the training images, as ``--fraction`` of ``tools/train.py``.
        force: Whether to replace a file that is there and differs.

    Returns:
        The file, ``NAME_DATA.py``.

    Raises:
        ValueError: There is no such recipe, or the dataset does not fit it.
        FileExistsError: A file that differs is in the way.
    """
    config = find_config(name)
    if config.suffix != '.py':
        raise ValueError(f'{config.name} is a study, which takes data: NAME in its file')
    cfg = read_config_file(config)
    cfg = cfg if data is None else apply_data(cfg, data)
    cfg = cfg if fraction is None else use_fraction(cfg, fraction)
    args = argparse.Namespace(config=config, data=data, fraction=fraction)
    target = Path(folder) / f'{run_name(args)}.py'
    recipe = config.relative_to(resource_root())
    options = [f' --data {data}'] if data else []
    options += [f' --fraction {fraction:g}'] if fraction else []
    header = f'{recipe}{"".join(options)}, written out by copy-config.'
    text = literal_text(cfg, header)
    if target.exists() and not force and target.read_text(encoding='utf-8') != text:
        raise FileExistsError(f'{target} is there and differs; --force replaces it')
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text, encoding='utf-8')
    return target

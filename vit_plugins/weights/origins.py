"""Return where to get weights that a recipe names and that are missing."""

from __future__ import annotations

from functools import cache
from pathlib import PurePath

import yaml

from ..resources import resource_root
from .index import index_models

CONVERT = 'vit-plugins convert_checkpoint'


@cache
def by_hand() -> dict[str, dict]:
    """Load ``configs/weights_by_hand.yml``, the list of weights that users must download."""
    file = resource_root() / 'configs' / 'weights_by_hand.yml'
    return yaml.safe_load(file.read_text(encoding='utf-8'))


def origin_of(file: str) -> str:
    """Return a text that says where a weights file comes from.

    Args:
        file: The file that a recipe names, such as ``work_dirs/RECIPE/epoch_800.pth``.

    Returns:
        The recipe that makes the file, the address of its authors, or both; if there is neither,
        that no source is known.
    """
    path = PurePath(file)
    ways = []
    recipe = _recipe(path.parent.name)
    if recipe is not None:
        ways.append(f'train it: vit-plugins train {recipe}')
    found = by_hand().get(path.name) or by_hand().get(path.parent.name)
    if found is not None:
        ways += _fetching(found, file if path.name in by_hand() else path.parent.name)
    ways += [f"get its authors': {address}" for address in _published(recipe)]
    unknown = 'no recipe of vit_plugins makes it, and no address of it is known'
    return '\n'.join(f'  {way}' for way in ways or [unknown])


def _fetching(found: dict, target: str) -> list[str]:
    """Return how to fetch and convert a file, its licence, and what to do without it."""
    target = target if target.endswith('.pth') else f'pretrained/{target}.pth'
    source = found['address'].rsplit('/', 1)[-1]
    arch = found.get('arch')
    then = f'{CONVERT} {source} {target} --arch {arch}' if arch else f'saved as {target}'
    sha256 = f'; sha256 {found["sha256"]}' if found.get('sha256') else ''
    get = f'get it: {found["address"]}, {"then " * bool(arch)}{then}'
    return [f'{get} ({found["licence"]}{sha256})', f'without it: {found["without"]}']


def _recipe(name: str) -> PurePath | None:
    """Return the packaged config of this name, as a path relative to the folder of configs."""
    root = resource_root()
    for path in (root / 'configs').rglob(f'{name}.py') if name else ():
        if '_base_' not in path.parts or 'studies' in path.parts:
            return path.relative_to(root)
    return None


def _published(recipe: PurePath | None) -> list[str]:
    models = index_models().values()
    return [m.weights for m in models if m.weights and m.config == str(recipe)]

"""Where weights come from that a recipe names and that are not there."""

from __future__ import annotations

from functools import cache
from pathlib import PurePath

import yaml

from ..resources import resource_root
from .index import index_models

CONVERT = 'vit-plugins convert_checkpoint'


@cache
def by_hand() -> dict[str, dict]:
    """Read ``configs/weights_by_hand.yml``, which says what its keys mean: weights to fetch."""
    file = resource_root() / 'configs' / 'weights_by_hand.yml'
    return yaml.safe_load(file.read_text(encoding='utf-8'))


def origin_of(file: str) -> str:
    """Return where a weights file comes from, in words.

    Args:
        file: What a recipe names, such as ``work_dirs/RECIPE/epoch_800.pth``.

    Returns:
        The recipe that makes it, the address of its authors, or both; without either, that none
        is known.
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
    """Return how a file is fetched and converted, its licence, and what to do without it."""
    target = target if target.endswith('.pth') else f'pretrained/{target}.pth'
    source = found['address'].rsplit('/', 1)[-1]
    arch = found.get('arch')
    then = f'{CONVERT} {source} {target} --arch {arch}' if arch else f'saved as {target}'
    sha256 = f'; sha256 {found["sha256"]}' if found.get('sha256') else ''
    get = f'get it: {found["address"]}, {"then " * bool(arch)}{then}'
    return [f'{get} ({found["licence"]}{sha256})', f'without it: {found["without"]}']


def _recipe(name: str) -> PurePath | None:
    """Return the packaged config of this name, as a path from the folder of all."""
    root = resource_root()
    for path in (root / 'configs').rglob(f'{name}.py') if name else ():
        if '_base_' not in path.parts or 'studies' in path.parts:
            return path.relative_to(root)
    return None


def _published(recipe: PurePath | None) -> list[str]:
    models = index_models().values()
    return [m.weights for m in models if m.weights and m.config == str(recipe)]

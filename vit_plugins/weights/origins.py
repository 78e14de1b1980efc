"""Where weights come from that a recipe names and that are not there."""

from __future__ import annotations

from pathlib import PurePath

from ..resources import resource_root
from .index import index_models

GOOGLE = 'https://storage.googleapis.com/vit_models/imagenet21k'
CONVERT = 'python -m vit_plugins convert_checkpoint'
# Files that authors publish under names of their own: name here, address, how it becomes the file.
FILES = {
    'CvT-13-224x224-IN-1k.pth': ('the model zoo of https://github.com/microsoft/CvT', ''),
    't2t-vit-14.pth': (
        'https://github.com/yitu-opensource/T2T-ViT/releases/download/main/'
        '81.5_T2T_ViT_14.pth.tar',
        't2t',
    ),
    'r50-vit-base-p16.pth': (f'{GOOGLE}/R50+ViT-B_16.npz', 'hybrid-vit'),
}
# Beginnings of recipes of ours whose weights others publish, too.
TRAINED_BY_OTHERS = {
    f'vit-{size}-p{patch}_64xb64-90e_in21k': (f'{GOOGLE}/ViT-{size[0].upper()}_{patch}.npz', 'vit')
    for size in ('base', 'large')
    for patch in (16, 32)
}


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
        ways.append(f'train it: python -m vit_plugins train {recipe}')
    found = FILES.get(path.name) or TRAINED_BY_OTHERS.get(path.parent.name)
    if found is not None:
        address, names = found
        target = file if path.name in FILES else f'pretrained/{path.parent.name}.pth'
        source = address.rsplit('/', 1)[-1]
        then = f', then {CONVERT} {source} {target} --arch {names}' if names else ''
        ways.append(f'get it: {address}{then or f", saved as {target}"}')
    ways += [f"get its authors': {address}" for address in _published(recipe)]
    unknown = 'no recipe of vit_plugins makes it, and no address of it is known'
    return '\n'.join(f'  {way}' for way in ways or [unknown])


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

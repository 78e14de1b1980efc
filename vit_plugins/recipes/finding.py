"""Find a packaged recipe or study, and the files that it stands on."""

from __future__ import annotations

import ast
import difflib
from collections.abc import Iterator
from pathlib import Path

from ..command_line.data_arguments import dataset_name
from ..command_line.gone import replacement
from ..resources import resource_root
from ..weights.index import index_models

SUFFIXES = ('.py', '.yaml')


def config_files() -> list[Path]:
    """List the packaged recipes and studies, relative to the folder ``configs/``."""
    root = resource_root() / 'configs'
    files = (path.relative_to(root) for path in root.rglob('*') if path.suffix in SUFFIXES)
    return sorted(path for path in files if path.parts[0] != '_base_')


def is_config_here(path: str | Path) -> bool:
    """Return whether a path is there and meant, not a recipe of the same name as a folder.

    Args:
        path: What was given where a config or a work dir is expected. ``photos`` is a recipe, also
            where a folder of photos has that name.
    """
    path = Path(path)
    if not path.is_dir() or any(path.glob('*.py')):
        return path.exists()
    return str(path) not in {file.stem for file in config_files()}


def find_config(name: str) -> Path:
    """Find a packaged recipe.

    Args:
        name: Its path (``configs/convit/x.py``, ``convit/x.py``), its file name with or without
            the ending, or the name of a model of the index.

    Raises:
        ValueError: There is none; the message names the nearest.
    """
    root = resource_root()
    for file in config_files():
        if name in (f'configs/{file}', str(file), file.name, file.stem):
            return root / 'configs' / file
    models = index_models()
    if name in models:
        return root / models[name].config
    if other := replacement(name):
        raise ValueError(f'{name} is gone: use {other}')
    datasets = (root / 'configs' / '_base_' / 'datasets').glob('*.py')
    if name in (dataset_name(file.stem) for file in datasets):
        raise ValueError(f'{name} is a dataset: put it into a recipe with --data {name}')
    names = {*(file.stem for file in config_files()), *models}
    near = difflib.get_close_matches(Path(name).stem, names, n=3)
    hint = f'did you mean {", ".join(near)}?' if near else 'see the list'
    raise ValueError(f'no config or model is called {name}: {hint} (vit-plugins list)')


def _bases(config: Path) -> list[Path]:
    """Read which files a config stands on; ours name them in a literal."""
    if config.suffix == '.yaml':
        from ..studies.study_file import named_files  # torch, which `list` does without

        return list(named_files(config))
    for node in ast.parse(config.read_text(encoding='utf-8')).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == '_base_':
            value = ast.literal_eval(node.value)
            return [
                config.parent / base for base in ([value] if isinstance(value, str) else value)
            ]
    return []


def with_bases(config: Path) -> Iterator[Path]:
    """Yield a config or study and all that it stands on.

    Args:
        config: Its file.
    """
    yield config.resolve()
    for base in _bases(config):
        yield from with_bases(base)

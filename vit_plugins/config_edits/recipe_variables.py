"""Find which variables of a recipe are read, and set other values for them."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from mmengine.config import Config

from .component_arguments import RUNNER_KEYS, nearest

# Keys of a recipe that the tools read, besides those of the runner.
TOOL_KEYS = {
    *('val_fraction', 'balance', 'from_scratch', 'default_weights', 'backbone_follows'),
    *('time_limit', 'machine_steps'),
}


class UnusedSettingError(ValueError):
    """Settings that would have no effect."""


def unread_names(cfg: Config) -> list[str]:
    """Find the top-level keys of a config that neither a runner nor the config itself reads.

    Args:
        cfg: A config as it was read from a file.

    Returns:
        The names. There are none for a config in the host's lazy style, or for one that a run has
        written, which contains the variables of its recipe beside the values computed from them.
    """
    trees = _trees(cfg.filename)
    if trees is None or (len(trees) == 1 and _is_written_by_a_run(*trees.values())):
        return []
    read = {name for tree in trees.values() for name in _names_read(tree)}
    return [name for name in cfg if name not in RUNNER_KEYS | TOOL_KEYS | read]


def apply_options(cfg: Config, options: Mapping[str, Any]) -> Config:
    """Merge ``--cfg-options``; a variable of the recipe gets its value before it is read.

    Args:
        cfg: A config as it was read from a file.
        options: Dotted name to value.

    Returns:
        The new config.

    Raises:
        UnusedSettingError: If an option would have no effect.
    """
    read_by_tools = RUNNER_KEYS | TOOL_KEYS
    others = {name: value for name, value in options.items() if _head(name) not in read_by_tools}
    for name in others:
        if _head(name) not in cfg:
            raise UnusedSettingError(f'--cfg-options {name}: no such setting{_meant(cfg, name)}')
        if name != _head(name):
            raise UnusedSettingError(
                f'--cfg-options {name}: {_head(name)} is a name that the recipe gives to a value, '
                f'and too late to change{_same_value(cfg, _head(name))}'
            )
    if others:
        cfg = _read_with(cfg, others)
    cfg.merge_from_dict(dict(options))
    return cfg


def _head(name: str) -> str:
    return name.partition('.')[0]


def _meant(cfg: Config, name: str) -> str:
    """Return advice: a similar top-level key, else the places of settings with the same name."""
    known = nearest(_head(name), RUNNER_KEYS | TOOL_KEYS | set(cfg))
    if known:
        return f'; did you mean {known!r}?'
    places = [path for path, _ in _places(cfg) if path.rpartition('.')[2] == name]
    return f'; did you mean {" or ".join(places[:3])}?' if places else ''


def _same_value(cfg: Config, name: str) -> str:
    places = [path for path, value in _places(cfg) if value == cfg[name]]
    return f'; its value stands in {" and ".join(places[:4])}: set it there' if places else ''


def _places(cfg: Config) -> Iterator[tuple[str, Any]]:
    nodes = [(key, cfg[key]) for key in cfg if key in RUNNER_KEYS]
    while nodes:
        path, node = nodes.pop(0)
        yield path, node
        if isinstance(node, dict):
            nodes += [(f'{path}.{key}', value) for key, value in node.items()]


def _trees(filename: str | Path | None) -> dict[Path, ast.Module] | None:
    """Parse a config and its bases; return None if that is not possible."""
    if filename is None or Path(filename).suffix != '.py':
        return None
    if Config._is_lazy_import(str(filename)):
        return None
    path = Path(filename).resolve()
    try:
        trees = {path: ast.parse(path.read_text(encoding='utf-8'))}
    except SyntaxError:  # an {{$VARIABLE:}} that the host replaces later
        return None
    for base in Config._get_base_files(str(path)):
        found, _ = Config._get_cfg_path(base, str(path))
        more = _trees(found)
        if more is None:
            return None
        trees.update(more)
    return trees


def _names_read(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            yield node.id
        elif isinstance(node, ast.Attribute):  # _base_.size
            yield node.attr
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):  # _base_['size']
            yield node.value


def _is_written_by_a_run(tree: ast.Module) -> bool:
    """Return whether the host has written a file: it is sorted, and no name is read."""
    names = [node.targets[0].id for node in tree.body if _is_plain_assignment(node)]
    reads = any(isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load) for n in _arguments(tree))
    return len(names) == len(tree.body) and names == sorted(names) and not reads


def _arguments(tree: ast.Module) -> Iterator[ast.AST]:
    """Yield all nodes except the functions that are called, such as dict."""
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    return (node for node in ast.walk(tree) if id(node) not in called)


def _is_plain_assignment(node: ast.stmt) -> bool:
    return isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)


def _read_with(cfg: Config, values: Mapping[str, Any]) -> Config:
    """Load the file of a config again, with other values for its variables."""
    trees = _trees(cfg.filename)
    unread = set(unread_names(cfg)) if trees else set(values)
    read = {name for tree in (trees or {}).values() for name in _names_read(tree)}
    for name in values:
        if trees is None or name in unread or name not in read:
            raise UnusedSettingError(
                f'--cfg-options {name}: nothing reads it in {cfg.filename}. Set what it was meant '
                f'for{_same_value(cfg, name)}'
            )
    with TemporaryDirectory() as folder:
        names = {path: f'../{i}/{path.name}' for i, path in enumerate(trees)}
        for path, tree in trees.items():
            for node in tree.body:
                if _is_plain_assignment(node):
                    _replace(node, path, names, values)
            copy = Path(folder, 'x', names[path]).resolve()
            copy.parent.mkdir()
            copy.write_text(ast.unparse(tree), encoding='utf-8')
        first = names[Path(cfg.filename).resolve()]
        again = Config.fromfile(str(Path(folder, 'x', first).resolve()))
    return Config(again._cfg_dict, cfg_text=again.text, filename=cfg.filename)


def _replace(node: ast.Assign, path: Path, names: dict[Path, str], values: Mapping) -> None:
    name = node.targets[0].id
    if name == '_base_':
        bases = Config._get_base_files(str(path))
        found = [Path(Config._get_cfg_path(base, str(path))[0]).resolve() for base in bases]
        node.value = ast.parse(repr([names[base] for base in found])).body[0].value
    elif name in values:
        node.value = ast.parse(repr(values[name])).body[0].value

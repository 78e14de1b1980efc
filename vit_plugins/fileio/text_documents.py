"""JSON and YAML that may come from anyone: of bounded depth, and no longer than they look."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from .documented_errors import documented_errors

MOST_DEPTH = 50
MOST_NODES = 100_000


class DocumentError(ValueError):
    """A file is no JSON or YAML, or is nested or repeated beyond measure."""


def read_json(path: str | Path, most_depth: int = MOST_DEPTH) -> Any:
    """Read a JSON file.

    Args:
        path: The file.
        most_depth: How deep it may be nested.

    Raises:
        DocumentError: If it is no JSON, or is nested more deeply.
        OSError: If it cannot be read.
    """
    content = Path(path).read_bytes()

    def told(text: str) -> DocumentError:
        return DocumentError(f'{path} is no JSON: {text}')

    with documented_errors(otherwise=told):
        found = json.loads(content.decode('utf-8-sig'))
    level = [found]
    for _ in range(most_depth):
        level = [child for node in level for child in _children(node)]
        if not level:
            return found
    raise DocumentError(f'{path} is nested more than {most_depth} deep')


def _children(node: Any) -> Iterable[Any]:
    if isinstance(node, dict):
        return node.values()
    return node if isinstance(node, list) else ()


def read_yaml(
    path: str | Path,
    loader: type = yaml.SafeLoader,
    most_depth: int = MOST_DEPTH,
    most_nodes: int = MOST_NODES,
) -> Any:
    """Read a YAML file.

    An alias repeats what an anchor marks. Ten lines that each repeat the one above ten times are
    ten thousand million things to whoever goes through them, though they take little memory.

    Args:
        path: The file.
        loader: A safe loader of PyYAML.
        most_depth: How deep it may be nested.
        most_nodes: How many things it may hold, aliases counted as what they repeat.

    Raises:
        DocumentError: If it is no YAML, holds itself, or exceeds a limit.
        OSError: If it cannot be read.
    """
    content = Path(path).read_bytes()

    def told(text: str) -> DocumentError:
        return DocumentError(f'{path} is not YAML: {text}')

    with documented_errors(DocumentError, otherwise=told):
        text = content.decode('utf-8-sig')
        _check(path, yaml.parse(text, loader), most_depth, most_nodes)
        return yaml.load(text, loader)


def _check(path: str | Path, events: Iterable[yaml.Event], depth: int, most: int) -> None:
    """Count what the parts hold before any is made; ``open_`` has their anchors and counts."""
    known: dict[str | None, int] = {}
    open_: list[list] = [[None, 0]]
    for event in events:
        size = 0
        if isinstance(event, yaml.CollectionStartEvent):
            open_.append([event.anchor, 1])
            known.pop(event.anchor, None)  # it holds itself, if it is repeated within
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, size = open_.pop()
            known[anchor] = size
        elif isinstance(event, yaml.ScalarEvent):
            size = known[event.anchor] = 1
        elif isinstance(event, yaml.AliasEvent):
            size = known.get(event.anchor, 0)
            if not size:
                raise DocumentError(f'{path}: *{event.anchor} repeats what is not there yet')
        open_[-1][1] += size
        if open_[-1][1] > most:
            raise DocumentError(
                f'{path} holds more than {most:,} things, counting what aliases repeat'
            )
        if len(open_) > depth:
            raise DocumentError(f'{path} is nested more than {depth} deep')

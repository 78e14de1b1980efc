"""Load untrusted JSON and YAML files, with limits on their depth and on repeated content."""

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
    """A file is not JSON or YAML, or exceeds the limits on nesting or repetition."""


def read_json(path: str | Path, most_depth: int = MOST_DEPTH) -> Any:
    """Load a JSON file.

    Args:
        path: The file.
        most_depth: How deep it may be nested.

    Raises:
        DocumentError: If it is not JSON, or is nested more deeply.
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
    """Load a YAML file.

    An alias repeats the content of an anchor. Ten lines that each repeat the line above ten times
    take little memory, but a walk through them visits ten thousand million items.

    Args:
        path: The file.
        loader: A safe loader of PyYAML.
        most_depth: How deep it may be nested.
        most_nodes: How many items it may hold; an alias counts as the items that it repeats.

    Raises:
        DocumentError: If it is not YAML, holds itself, or exceeds a limit.
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
    """Count the items before any is built; ``open_`` has the anchors and counts of open nodes."""
    known: dict[str | None, int] = {}
    open_: list[list] = [[None, 0]]
    for event in events:
        size = 0
        if isinstance(event, yaml.CollectionStartEvent):
            open_.append([event.anchor, 1])
            known.pop(event.anchor, None)  # if an alias inside repeats it, it holds itself
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

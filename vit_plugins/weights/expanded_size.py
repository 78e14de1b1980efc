"""Check how large the content of a file becomes when all repetitions are counted."""

from mmengine.logging import HistoryBuffer

from .allow_list_unpickler import RefusedError

MOST_DEPTH = 100
SHARING = 4  # how often, on average, a piece of a file may occur in its content
SPARE = 1 << 20  # a file of any size may hold this many items


def require_bounded(content: object, file_size: int) -> None:
    """Refuse content that is much larger than its file.

    A file of a hundred bytes may describe a list that holds another list ten times, which holds a
    third one ten times, and so on. It takes little memory, but a walk through it would never end.

    Args:
        content: The content that was read: nested dicts, lists, tuples, sets and history buffers.
        file_size: The size of the file in bytes.

    Raises:
        RefusedError: If it holds more items than the file can have written, counting every
            repetition; is nested more than 100 deep; or holds itself.
    """
    most = SHARING * file_size + SPARE
    if _count(content, {}, 0, most) > most:
        raise RefusedError(f'it holds more than {most:,} things, in {file_size:,} bytes')


def _count(content: object, known: dict[int, int | None], depth: int, most: int) -> int:
    inner = _inner(content)
    if inner is None:
        return 1
    if depth > MOST_DEPTH:
        raise RefusedError(f'it is nested more than {MOST_DEPTH} deep')
    if id(content) in known:
        found = known[id(content)]
        if found is None:
            raise RefusedError('it holds itself')
        return found
    known[id(content)] = None
    total = 1
    for item in inner:
        total += _count(item, known, depth + 1, most)
        if total > most:
            break
    known[id(content)] = total
    return total


def _inner(content: object):
    if isinstance(content, HistoryBuffer):
        content = vars(content)
    if isinstance(content, dict):
        return content.values()
    return content if isinstance(content, list | tuple | set | frozenset) else None

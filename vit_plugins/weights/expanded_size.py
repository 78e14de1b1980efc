"""How much a file's content is to those who go through it."""

from mmengine.logging import HistoryBuffer

from .allow_list_unpickler import RefusedError

MOST_DEPTH = 100
SHARING = 4  # how often, on average, a part of a file may stand in its content
SPARE = 1 << 20  # things that a file of any size may hold


def require_bounded(content: object, file_size: int) -> None:
    """Refuse content that is out of all proportion to its file.

    A file of a hundred bytes may say that a list holds another one ten times, which holds a third
    one ten times and so on: little memory, but going through it would never end.

    Args:
        content: What was read: nested dicts, lists, tuples, sets and history buffers.
        file_size: Bytes of the file.

    Raises:
        RefusedError: If it holds more things than the file can have written, counted each time
            they come; is nested more than 100 deep; or holds itself.
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

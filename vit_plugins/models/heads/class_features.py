"""Choose the features of a classification head from a backbone that returns all tokens."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

CLS_SOURCES = ('cls_token', 'extra_tokens', 'gap', 'neck', 'feats')


def class_features(
    feats: Sequence[Any], source: str | None, num_extra_tokens: int
) -> tuple[Any, ...]:
    """Return the outputs of a backbone, the last one in the form that a classifier needs.

    Args:
        feats: Outputs of the backbone; the last one is a map (B, D, h, w), tokens (B, N, D), or a
            form that a head takes unchanged.
        source: ``'cls_token'`` (B, D); ``'extra_tokens'``, a tuple of all of them; ``'gap'``, the
            mean over the grid; ``'feats'``, untouched. None takes the mean of a map and of
            tokens without extra ones, else the extra tokens.
        num_extra_tokens: Tokens before those of the patches.
    """
    last = feats[-1]
    source = source or _natural_source(last, num_extra_tokens)
    if source == 'cls_token':
        last = last[:, 0]
    elif source == 'extra_tokens':
        last = tuple(last[:, i] for i in range(num_extra_tokens))
    elif source == 'gap':
        last = last.mean((2, 3)) if last.ndim == 4 else last[:, num_extra_tokens:].mean(1)
    return (*feats[:-1], last)


def _natural_source(last: Any, num_extra_tokens: int) -> str:
    if not isinstance(last, Tensor) or last.ndim == 2:
        return 'feats'
    if last.ndim == 4 or num_extra_tokens == 0:
        return 'gap'
    return 'cls_token' if num_extra_tokens == 1 else 'extra_tokens'

"""Find the weights of a backbone in a checkpoint with any wrappers and names."""

from __future__ import annotations

import math
import re
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode

import torch
from mmengine.runner import CheckpointLoader
from torch import Tensor, nn
from torch.nn import functional as F

from .names import BACKBONE_NAMES, official_names

SCHEME = 'fitted:'
# The backbone computes these, so it does not matter whether a file has them.
COMPUTED = ('relative_position_index', 'attn_mask')
CONSTANT = re.compile(rf'(?:.*\.)?(?:num_batches_tracked|{"|".join(COMPUTED)})')
BIAS_TABLE = re.compile(r'.*\.w_msa\.relative_position_bias_table')
# If several parts of a file hold equally many weights: an average or a teacher is the published
# model; a copy beside the weights of MMEngine and a momentum encoder are not.
AVERAGE = re.compile(r'(?:.*\.)?(?:\w+_ema|ema|ema_model|teacher)\.')
COPY = re.compile(r'(?:.*\.)?(?:ema_state_dict|momentum_encoder|optimizer|student)\.')


@dataclass(frozen=True)
class Fitted:
    """The place and the names under which a file holds the weights of a backbone.

    Attributes:
        names: Key of ``BACKBONE_NAMES``; empty if the file has the backbone's own names.
        prefix: The text before these names, including containers of the file, such as
            ``'model.module.'``.
        tokens: Number of positions before those of the patches in the position embedding of the
            file, and in that of the backbone; None if the two are equal.
        bias_rows: Rows of the backbone's tables of relative position biases (Swin); None if the
            file has as many. The host resizes them with a function that SciPy 1.14 removed.
    """

    names: str = ''
    prefix: str = ''
    tokens: tuple[int, int] | None = None
    bias_rows: int | None = None

    def address(self, file: str) -> str:
        """Return the ``checkpoint`` with which ``dict(type='Pretrained')`` reads this file.

        Args:
            file: A path or an address.
        """
        settings = {'names': self.names, 'prefix': self.prefix}
        if self.tokens is not None:
            settings['tokens'] = '>'.join(map(str, self.tokens))
        if self.bias_rows is not None:
            settings['bias_rows'] = str(self.bias_rows)
        return f'{SCHEME}{urlencode(settings, safe=">")}:{file}'

    def take(self, checkpoint: Mapping) -> OrderedDict[str, Tensor]:
        """Return the weights below the prefix, renamed to the names of the backbone.

        Keys that the table does not know stay as they are. Masks and indices, which the backbone
        computes itself, are left out.

        Args:
            checkpoint: What a file holds.
        """
        flat, metadata = flatten(checkpoint)
        part = {k[len(self.prefix) :]: v for k, v in flat.items() if k.startswith(self.prefix)}
        if self.names:
            part = BACKBONE_NAMES[self.names].convert(part)
        weights = OrderedDict(
            (key.removeprefix('backbone.'), value)
            for key, value in part.items()
            if not key.endswith(COMPUTED)
        )
        if self.tokens is not None:
            weights['pos_embed'] = change_extra_tokens(weights['pos_embed'], *self.tokens)
        if self.bias_rows is not None:
            for key in filter(BIAS_TABLE.fullmatch, weights):
                weights[key] = resize_bias_table(weights[key], self.bias_rows)
        if not self.names:  # metadata such as the grid of a position embedding
            weights._metadata = {
                name[len(self.prefix) : -1]: found
                for name, found in metadata.items()
                if name.startswith(self.prefix)
            }
        return weights


def flatten(checkpoint: Mapping) -> tuple[dict[str, Tensor], dict[str, dict]]:
    """Return all tensors of nested dicts under joined names, and the metadata of modules.

    The prefix that ``torch.compile`` adds to names is left out.

    Args:
        checkpoint: What a file holds.

    Returns:
        Name to tensor, and prefix of a module to its metadata.

    >>> flatten({'model': {'norm.weight': torch.ones(1)}, 'epoch': 3})[0]
    {'model.norm.weight': tensor([1.])}
    """
    tensors: dict[str, Tensor] = {}
    metadata: dict[str, dict] = {}

    def visit(node: Mapping, prefix: str) -> None:
        for module, found in getattr(node, '_metadata', {}).items():
            metadata[f'{prefix}{module}.' if module else prefix] = found
        for key, value in node.items():
            if isinstance(value, Tensor):
                tensors[f'{prefix}{key}'.replace('_orig_mod.', '')] = value
            elif isinstance(value, Mapping):
                visit(value, f'{prefix}{key}.')

    visit(checkpoint, '')
    return tensors, metadata


def find_weights(backbone: nn.Module, checkpoint: Mapping) -> Fitted:
    """Find the prefix and the names that give a backbone the most weights.

    Args:
        backbone: The backbone.
        checkpoint: What a file holds.

    Raises:
        ValueError: If the position embedding does not fit any grid.
    """
    flat, _ = flatten(checkpoint)
    wanted = backbone.state_dict().keys()
    official = official_names(backbone)
    best = _best_prefix(flat, wanted, lambda key: key)
    names = ''
    if official is not None:
        rename = official[1].rename
        other = _best_prefix(flat, wanted, lambda key: rename(key).removeprefix('backbone.'))
        if other[0] > best[0]:
            best, names = other, official[0]
    fitted = Fitted(names, best[1])
    weights = fitted.take(checkpoint)
    tokens, rows = _extra_tokens(backbone, weights), _bias_rows(backbone, weights)
    return Fitted(names, best[1], tokens, rows)


def _best_prefix(
    flat: Mapping[str, Tensor], wanted: Set[str], rename: Callable[[str], str]
) -> tuple[int, str]:
    votes: Counter[str] = Counter()
    for key in flat:
        parts = key.split('.')
        for start in range(len(parts)):
            if rename('.'.join(parts[start:])) in wanted:
                votes[''.join(f'{part}.' for part in parts[:start])] += 1
    if not votes:
        return 0, ''
    most = max(votes.values())

    def preference(prefix: str) -> tuple[int, int, str]:
        rank = 2 if COPY.match(prefix) else 0 if AVERAGE.match(prefix) else 1
        return rank, len(prefix), prefix

    return most, min((p for p, number in votes.items() if number == most), key=preference)


def _extra_tokens(backbone: nn.Module, weights: Mapping[str, Tensor]) -> tuple[int, int] | None:
    """Compare the positions before the patches in the embeddings of file and backbone."""
    own, embed = getattr(backbone, 'pos_embed', None), weights.get('pos_embed')
    grid = getattr(backbone, 'patch_resolution', None)
    if own is None or embed is None or grid is None or embed.ndim != 3:
        return None
    patches = math.prod(grid)
    target = own.shape[1] - patches
    found = sum(name in weights for name in ('cls_token', 'dist_token'))
    if embed.shape[1] - target == patches:
        return None
    for source in dict.fromkeys((found, 0, 1, 2)):
        rest = embed.shape[1] - source
        if rest > 0 and (rest == patches or math.isqrt(rest) ** 2 == rest):
            return None if source == target else (source, target)
    if (getattr(weights, '_metadata', None) or {}).get('', {}).get('grid'):
        return None  # the backbone itself handles a recorded grid
    raise ValueError(
        f'its position embedding has {embed.shape[1]} tokens, which are no square grid of patches '
        f'with {found} or no other tokens, nor the {grid[0]} x {grid[1]} patches of this '
        f'{type(backbone).__name__}: set img_size to the size of the images that the weights '
        'were trained on'
    )


def _bias_rows(backbone: nn.Module, weights: Mapping[str, Tensor]) -> int | None:
    own = backbone.state_dict()
    tables = [key for key in own if BIAS_TABLE.fullmatch(key) and key in weights]
    differ = [key for key in tables if len(weights[key]) != len(own[key])]
    return len(own[differ[0]]) if differ else None


def resize_bias_table(table: Tensor, rows: int) -> Tensor:
    """Resize the relative position biases of a window, with bicubic interpolation as in Swin.

    Args:
        table: (S * S, heads), S = 2 * window - 1.
        rows: T * T, where T = 2 * window - 1 of the new window.

    Returns:
        (rows, heads).
    """
    old, new = math.isqrt(len(table)), math.isqrt(rows)
    if old == new:
        return table
    grid = table.t().unflatten(1, (old, old))[None].float()  # (S * S, h) -> (1, h, S, S)
    resized = F.interpolate(grid, size=(new, new), mode='bicubic', align_corners=False)
    return resized[0].flatten(1).t().to(table.dtype)  # (1, h, T, T) -> (T * T, h)


def change_extra_tokens(embed: Tensor, source: int, target: int) -> Tensor:
    """Change the number of positions before those of the patches.

    A token without its own position, as with timm's ``no_embed_class``, gets a position of zeros.

    Args:
        embed: Position embedding (1, source + N, D).
        source: Number of positions before the patches now.
        target: Number of positions before the patches afterwards; the first ones are kept.

    Returns:
        (1, target + N, D).
    """
    kept = embed[:, : min(source, target)]
    new = embed.new_zeros(len(embed), max(target - source, 0), embed.shape[2])
    return torch.cat((kept, new, embed[:, source:]), dim=1)


def load_from_fitted(filename: str, map_location=None) -> dict[str, OrderedDict]:
    """Load an address that :meth:`Fitted.address` made, for ``CheckpointLoader``.

    Args:
        filename: The address.
        map_location: As in ``torch.load``.
    """
    settings, _, file = filename.removeprefix(SCHEME).partition(':')
    found = dict(parse_qsl(settings, keep_blank_values=True))
    tokens = found.get('tokens')
    fitted = Fitted(
        names=found['names'],
        prefix=found['prefix'],
        tokens=tuple(map(int, tokens.split('>'))) if tokens else None,
        bias_rows=int(found['bias_rows']) if 'bias_rows' in found else None,
    )
    checkpoint = CheckpointLoader.load_checkpoint(file, map_location, logger='silent')
    return {'state_dict': fitted.take(checkpoint)}


def register() -> None:
    """Register the loader of fitted weights for MMEngine's initialisation."""
    CheckpointLoader.register_scheme(prefixes=SCHEME, loader=load_from_fitted, force=True)

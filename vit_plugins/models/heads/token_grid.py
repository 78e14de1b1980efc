"""Find the grid (h, w) of a sequence of tokens, which is never assumed to be square."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isqrt

from mmpretrain.structures import DataSample
from torch import Tensor, nn

from .token_capture import Captured


@dataclass
class TokenGrid:
    """The known facts about the grid of tokens.

    Attributes:
        num_extra_tokens: Tokens before those of the patches.
        size: Rows and columns of raw tokens, if all images have one size.
        patch_size: Height and width of a patch; None infers the square patch.
        pad_size_divisor: The sides of a batch are padded to multiples of this; None means no
            padding.
        ways: The settings that make a backbone return tokens on a grid, for messages.
    """

    num_extra_tokens: int
    size: tuple[int, int] | None
    patch_size: tuple[int, int] | None
    pad_size_divisor: int | None
    ways: str

    def lay_out(self, level: Captured, width: int, samples: Sequence[DataSample]) -> Tensor:
        """Return the tokens of one level as (B, D, h, w).

        Args:
            level: Tokens (B, N, D) or a map, and their grid if a module returned it.
            width: Their width D.
            samples: Samples of the batch, with ``img_shape`` if the grid follows from it.

        Raises:
            ValueError: If the tokens have no grid, another width, or another number than the grid.
        """
        tokens, size = level
        if isinstance(tokens, (tuple, list)):  # [map, class token] of older backbones
            tokens = next((x for x in tokens if x.ndim == 4), tokens[0])
        if tokens.ndim not in (3, 4):
            raise ValueError(
                f'features {tuple(tokens.shape)} have no grid left to localize tokens on: set '
                f'{self.ways}'
            )
        found = tokens.shape[1 if tokens.ndim == 4 else 2]
        if found != width:
            raise ValueError(
                f'features {tuple(tokens.shape)} have width {found}, in_channels is {width}; '
                f'tokens must be (B, D, h, w) or (B, N, D): set in_channels, or {self.ways}'
            )
        if tokens.ndim == 4:
            return tokens
        if size is None or tokens.shape[1] != size[0] * size[1]:
            tokens = tokens[:, self.num_extra_tokens :]
            size = size or self._size_of(tokens.shape[1], samples)
        if tokens.shape[1] != size[0] * size[1]:
            raise ValueError(
                f'{tokens.shape[1]} tokens are not a {size[0]}x{size[1]} grid: set grid_size '
                'or num_extra_tokens of DRLocHead'
            )
        return tokens.transpose(1, 2).unflatten(2, size)  # (B, D, h, w)

    def _size_of(self, num_tokens: int, samples: Sequence[DataSample]) -> tuple[int, int]:
        if self.size is not None:
            return self.size
        shape = batch_shape(samples, self.pad_size_divisor or 1)
        return grid_from_image(num_tokens, shape, self.patch_size)


def batch_shape(data_samples: Sequence[DataSample], pad_size_divisor: int = 1) -> tuple[int, int]:
    """Return height and width of a batch, whose sides are padded to those of the largest image.

    Args:
        data_samples: Samples with ``img_shape`` of each image before padding.
        pad_size_divisor: The setting of the data preprocessor.

    Raises:
        ValueError: If a sample has no ``img_shape``.
    """
    shapes = [sample.get('img_shape') for sample in data_samples]
    if not shapes or None in shapes:
        raise ValueError(
            'the grid of raw tokens follows from the image shape, which the data samples lack: '
            "keep 'img_shape' in the meta_keys of PackInputs, or set grid_size=(h, w)"
        )
    h, w = (max(sides) for sides in zip(*(shape[:2] for shape in shapes), strict=True))
    return tuple(-(-side // pad_size_divisor) * pad_size_divisor for side in (h, w))


def grid_from_image(
    num_tokens: int, shape: tuple[int, int], patch_size: tuple[int, int] | None = None
) -> tuple[int, int]:
    """Return the rows and columns of the tokens of an image.

    Args:
        num_tokens: Tokens of one image, without class token.
        shape: Height and width of the image.
        patch_size: Height and width of a patch; None takes the square patch that gives this number
            of tokens.

    Raises:
        ValueError: If image and patch do not give ``num_tokens``.
    """
    h, w = shape
    if patch_size is None:
        side = isqrt(h * w // max(num_tokens, 1))
        if side and h % side == 0 and w % side == 0 and (h // side) * (w // side) == num_tokens:
            return h // side, w // side
        raise ValueError(
            f'no square patch cuts a {h}x{w} image into {num_tokens} tokens: set '
            'patch_size, grid_size=(h, w) or num_extra_tokens of DRLocHead'
        )
    rows, cols = h // patch_size[0], w // patch_size[1]
    if rows * cols != num_tokens:  # patch embeddings drop the remaining pixels or pad them
        rows, cols = -(-h // patch_size[0]), -(-w // patch_size[1])
    if rows * cols != num_tokens:
        raise ValueError(
            f'a {h}x{w} image in patches of {patch_size[0]}x{patch_size[1]} gives '
            f'{rows}x{cols} tokens, the backbone gave {num_tokens}: set patch_size, '
            'grid_size=(h, w) or num_extra_tokens of DRLocHead'
        )
    return rows, cols


def ways_to_a_grid(backbone: nn.Module | None) -> str:
    """Return, in words, the settings that make a backbone return tokens on a grid.

    Args:
        backbone: The backbone; None returns the settings of the host's backbones.

    >>> ways_to_a_grid(nn.Sequential())
    "source='backbone.<module>' in DRLocHead"
    """
    ways = []
    if backbone is None or hasattr(backbone, 'out_type'):
        ways.append("out_type='raw' (keeps the class token) or 'featmap' in the backbone")
    if backbone is None or hasattr(backbone, 'gap_before_final_norm'):
        ways.append('gap_before_final_norm=False in the backbone')
    module = '<module>' if backbone is None else _last_tokens(backbone)
    ways.append(f"source='backbone.{module}' in DRLocHead")
    return ', or '.join(ways)


def _last_tokens(backbone: nn.Module) -> str:
    """Return the name of the final norm, which reads all tokens, or else of the last block."""
    children = dict(backbone.named_children())
    norms = [name for name, child in children.items() if isinstance(child, nn.LayerNorm)]
    if norms:
        return norms[-1]
    stacks = [
        n for n, child in children.items() if isinstance(child, (nn.ModuleList, nn.Sequential))
    ]
    stacks = [name for name in stacks if len(children[name])]
    return f'{stacks[-1]}.{len(children[stacks[-1]]) - 1}' if stacks else '<module>'

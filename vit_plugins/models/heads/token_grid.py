"""Where the grid (h, w) of a sequence of tokens comes from: never from its square root."""

from collections.abc import Sequence
from math import isqrt

from mmpretrain.structures import DataSample


def batch_shape(data_samples: Sequence[DataSample], pad_size_divisor: int = 1) -> tuple[int, int]:
    """Height and width of a batch: ``ClsDataPreprocessor`` pads each side to the largest image.

    Args:
        data_samples: Samples with ``img_shape`` of each image before padding.
        pad_size_divisor: That of the data preprocessor.

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
    """Rows and columns of the tokens of an image.

    Args:
        num_tokens: Tokens of one image, without class token.
        shape: Height and width of the image.
        patch_size: Height and width of a patch; None: the square patch that makes so many
            tokens of the image.

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
    if rows * cols != num_tokens:  # patch embeddings drop the rest or pad it
        rows, cols = -(-h // patch_size[0]), -(-w // patch_size[1])
    if rows * cols != num_tokens:
        raise ValueError(
            f'a {h}x{w} image in patches of {patch_size[0]}x{patch_size[1]} gives '
            f'{rows}x{cols} tokens, the backbone gave {num_tokens}: set patch_size, '
            'grid_size=(h, w) or num_extra_tokens of DRLocHead'
        )
    return rows, cols

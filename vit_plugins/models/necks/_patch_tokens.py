"""Read the tokens of the patches from any output of a backbone that still has them."""

from collections.abc import Sequence

from torch import Tensor


def patch_tokens(
    last: Tensor | Sequence[Tensor], num_extra_tokens: int, reader: str, otherwise: str = ''
) -> Tensor:
    """Return the tokens of the patches (N, M, D).

    Args:
        last: Last output of a backbone: tokens (N, L, D), or a map (N, D, H, W).
        num_extra_tokens: Tokens before those of the patches.
        reader: Who needs the tokens, for the message.
        otherwise: The setting to use instead, for the message.

    Raises:
        ValueError: If the output has no patches.
    """
    if not isinstance(last, Tensor) or last.ndim not in (3, 4):
        got = f'features {tuple(last.shape)}' if isinstance(last, Tensor) else 'a tuple'
        raise ValueError(
            f'{reader} pools patches, but the backbone returns {got}, where none are left: set '
            f"its out_type to 'raw' or 'featmap'{otherwise}."
        )
    if last.ndim == 4:
        return last.flatten(2).transpose(1, 2)  # (N, D, H, W) -> (N, H * W, D)
    return last[:, num_extra_tokens:]

"""Check values on a device without waiting for it."""

from collections.abc import Callable

import torch
from torch import Tensor


def require(holds: Tensor, message: Callable[[], str], short: str) -> None:
    """Stop the program if a condition on values does not hold.

    Args:
        holds: The condition, bool of shape ().
        message: Function that writes what was found; not used on a CUDA device.
        short: The text of the assertion that a CUDA device raises later. To read the values now
            would make the program wait in each step.

    Raises:
        ValueError: On a CPU, and on devices that have no assertions of their own, such as MPS.
    """
    if holds.is_meta:
        return  # no values
    if holds.device.type == 'cuda':
        torch._assert_async(holds, short)
    elif not holds:
        raise ValueError(message())

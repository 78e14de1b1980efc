"""Check values that only the device knows, without waiting for it."""

from collections.abc import Callable

import torch
from torch import Tensor


def require(holds: Tensor, message: Callable[[], str], short: str) -> None:
    """Stop the program if a condition on values does not hold.

    Args:
        holds: The condition, bool of shape ().
        message: Writes what was found; used elsewhere than on a CUDA device.
        short: What the assertion of a CUDA device says, when it gets there. To look at the
            values now would keep the program waiting in each step.

    Raises:
        ValueError: On a CPU, and on devices that have no assertions of their own, such as MPS.
    """
    if holds.is_meta:
        return  # no values
    if holds.device.type == 'cuda':
        torch._assert_async(holds, short)
    elif not holds:
        raise ValueError(message())

"""Check values that only the device knows, without waiting for it."""

from collections.abc import Callable

import torch
from torch import Tensor


def require(holds: Tensor, message: Callable[[], str], short: str) -> None:
    """Stop the program if a condition on values does not hold.

    Args:
        holds: The condition, bool of shape ().
        message: Writes what was found; used on the CPU, where looking costs nothing.
        short: What a GPU's assertion says, when it gets there. To look at the values now would
            keep the program waiting in each step.

    Raises:
        ValueError: On the CPU.
    """
    if holds.device.type != 'cpu':
        torch._assert_async(holds, short)
    elif not holds:
        raise ValueError(message())

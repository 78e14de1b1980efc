"""Mixed precision without loss scaling."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from mmengine.optim import OptimWrapper
from mmengine.runner.amp import autocast
from mmpretrain.registry import OPTIM_WRAPPERS
from torch import nn


@OPTIM_WRAPPERS.register_module()
class AutocastOptimWrapper(OptimWrapper):
    """An optimizer step whose forward pass runs in bfloat16, also on a CPU.

    The host's ``AmpOptimWrapper`` refuses a CPU. bfloat16 has the range of fp32, so it needs no
    loss scaling and this wrapper keeps no state.

    Args:
        dtype: ``'bfloat16'``; the name is an argument so that a config says what it does.
        **kwargs: Arguments of the host's ``OptimWrapper``.

    Raises:
        ValueError: If ``dtype`` is not ``'bfloat16'``: fp16 needs the host's wrapper and a GPU.
    """

    def __init__(self, *, dtype: str = 'bfloat16', **kwargs) -> None:
        if dtype != 'bfloat16':
            raise ValueError(
                f"AutocastOptimWrapper runs in 'bfloat16', got dtype={dtype!r}; float16 needs "
                'loss scaling: use AmpOptimWrapper on a GPU'
            )
        super().__init__(**kwargs)

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Run the forward pass under autocast.

        Args:
            model: The model that is trained.
        """
        with super().optim_context(model), autocast(dtype=torch.bfloat16):
            yield

"""The device, precision and duration of a measurement."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch

from .arguments import DTYPES


@dataclass(frozen=True)
class Setting:
    """The setting of all measurements of a command.

    Attributes:
        device: A device of torch, such as 'cpu' or 'cuda'.
        dtype: 'fp32', or 'bf16' or 'fp16', which use autocast with float32 weights.
        size: 'toy' takes seconds anywhere, 'cpu' suits two cores, 'gpu' fills a card,
            'large' takes minutes on one, 'scaling' grows in steps on a CPU.
        rounds: Number of rounds; in a round every side has one turn.
        turn: Approximate seconds of a turn, which has up to 20 calls.
        compiled: Whether modules go through ``torch.compile``; 'toy' generates no code.
        threads: Threads of torch and of its peers.
        without: Names of sides that are left out.
        once: Whether each side is called a single time, without a check, for calls of minutes;
            ``rounds`` and ``turn`` then do not matter.
    """

    device: str = 'cpu'
    dtype: str = 'fp32'
    size: str = 'cpu'
    rounds: int = 5
    turn: float = 2.0
    compiled: bool = False
    threads: int = 1
    without: tuple[str, ...] = ()
    once: bool = False

    def __post_init__(self) -> None:
        if self.rounds < 1 or self.threads < 1:
            raise ValueError(
                f'rounds and threads must be at least 1, got {self.rounds} and {self.threads}'
            )
        if 'ours' in self.without:
            raise ValueError("'ours' cannot be left out: the other sides are compared with it")
        if self.is_cuda and not torch.cuda.is_available():
            raise ValueError(
                f'torch {torch.__version__} finds no CUDA device for --device {self.device}: '
                'use --device cpu'
            )

    @property
    def is_cuda(self) -> bool:
        """Return whether the device is a GPU."""
        return torch.device(self.device).type == 'cuda'

    def autocast(self) -> AbstractContextManager:
        """Return the context in which modules compute."""
        if self.dtype == 'fp32':
            return nullcontext()
        return torch.autocast(torch.device(self.device).type, getattr(torch, DTYPES[self.dtype]))

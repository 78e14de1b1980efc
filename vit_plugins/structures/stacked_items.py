"""A batch that a dataset has put together by itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class StackedItems(Sequence):
    """The items of a batch, already stacked: ``stacked_collate`` takes ``batch`` as it is.

    To any other collate function it is the sequence of the items.

    Args:
        batch: ``inputs`` (B, C, H, W), ``data_samples``, a :class:`DataSampleBatch`, and what
            else belongs to the batch as a whole.
    """

    def __init__(self, batch: dict[str, Any]) -> None:
        self.batch = batch

    def __len__(self) -> int:
        return len(self.batch['inputs'])

    def __getitem__(self, index: int) -> dict[str, Any]:
        if index >= len(self):
            raise IndexError(index)
        return {key: self.batch[key][index] for key in ('inputs', 'data_samples')}

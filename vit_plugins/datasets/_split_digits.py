"""Base class of the datasets that are made of scikit-learn's handwritten digits."""

from __future__ import annotations

from typing import Any

from mmpretrain.datasets import BaseDataset

from ._annotations import require_split

SPLITS = ('train', 'val', 'trainval', 'test')


class SplitDigits(BaseDataset):
    """Pictures that are made of one of four splits of the digits.

    Args:
        split: 'train', 'val', 'trainval' or 'test'.
        seed: The seed of all that is random.
        **kwargs: Further arguments of ``BaseDataset``.

    Raises:
        ValueError: If ``split`` is not one of the four.
    """

    def __init__(self, split: str, seed: int, **kwargs: Any) -> None:
        require_split(split, SPLITS)
        self.split = split
        self.seed = seed
        kwargs.setdefault('ann_file', '')
        kwargs.setdefault('test_mode', split in ('val', 'test'))
        super().__init__(**kwargs)

    def extra_repr(self) -> list[str]:
        """Return the line that describes the split."""
        return [f'Split: \t{self.split} (seed {self.seed})']

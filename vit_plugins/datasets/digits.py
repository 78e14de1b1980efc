"""Real handwritten digits that come with scikit-learn, without a download."""

from __future__ import annotations

from typing import Any

import numpy as np
from mmpretrain.registry import DATASETS

from ._split_digits import SplitDigits
from .splitting import stratified_split


def load_digits() -> tuple[np.ndarray, np.ndarray]:
    """Read scikit-learn's copy of the UCI optical digits.

    Returns:
        Images (1797, 8, 8, 3), uint8, three equal channels, and labels (1797,).

    Raises:
        ImportError: If scikit-learn is missing, with the line that installs it.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise ImportError(
            'Digits needs scikit-learn, which brings the images: pip install scikit-learn'
        ) from error
    ink, labels = load_digits(return_X_y=True)  # (1797, 64), ink from 0 to 16
    grey = np.rint(ink * (255 / 16)).astype(np.uint8).reshape(-1, 8, 8, 1)
    return np.repeat(grey, 3, axis=-1), labels


@DATASETS.register_module()
class Digits(SplitDigits):
    """The 1,797 handwritten digits that come with scikit-learn, 8 x 8 pixels each.

    A fixed stratified split: 1,438 images in ``trainval`` and 359 in ``test``; ``trainval`` is
    split again into ``train`` (1,259) and ``val`` (179), so that settings can be chosen without
    test images. Images are uint8 with three equal channels: the order of channels,
    BGR or RGB, does not matter.

    Source: E. Alpaydin, C. Kaynak, Optical Recognition of Handwritten Digits, UCI, 1998.

    Args:
        split: 'train', 'val', 'trainval' or 'test'.
        seed: The seed of the split.
        pipeline: The transforms.
        **kwargs: Further arguments of ``BaseDataset``.

    Raises:
        ValueError: If ``split`` is not one of the four.
    """

    METAINFO = {'classes': tuple('0123456789')}

    def __init__(self, split: str = 'train', seed: int = 0, **kwargs: Any) -> None:
        super().__init__(split, seed, **kwargs)

    def load_data_list(self) -> list[dict]:
        """List the images of the split with their labels."""
        images, labels = load_digits()
        return [
            {'img': images[i], 'gt_label': int(labels[i])}
            for i in split_indices(labels, self.split, self.seed)
        ]


def split_indices(labels: np.ndarray, split: str, seed: int = 0) -> list[int]:
    """Return the samples of a split; 20 % of each class are for the test, 10 % for validation.

    Args:
        labels: The class of every sample.
        split: 'train', 'val', 'trainval' or 'test'.
        seed: The seed of the split.
    """
    keys = [str(i) for i in range(len(labels))]
    trainval, test = stratified_split(keys, labels.tolist(), 0.2, seed)
    train, val = stratified_split(
        [keys[i] for i in trainval], labels[trainval].tolist(), 0.125, seed
    )
    return {
        'train': [trainval[i] for i in train],
        'val': [trainval[i] for i in val],
        'trainval': trainval,
        'test': test,
    }[split]

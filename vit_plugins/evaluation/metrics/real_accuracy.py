"""Accuracy on ImageNet with reassessed labels; an image may have several."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.evaluator import BaseMetric
from mmpretrain.registry import METRICS

IMAGES = 50_000
FILE_NAME = re.compile(r'ILSVRC2012_val_(\d{8})\.[^.]+')
SOURCE = 'https://raw.githubusercontent.com/google-research/reassessed-imagenet/master/real.json'


def read_real_labels(path: str | Path) -> list[list[int]]:
    """Read the labels of each image of ImageNet's validation set.

    Args:
        path: ``real.json``: a list for each image, from 1 to 50,000, perhaps empty.

    Raises:
        FileNotFoundError: If there is no such file, with the address to get it from.
        ValueError: If it does not contain a list for each image.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f'no {path}: get it from {SOURCE}')
    labels = json.loads(path.read_text(encoding='utf-8'))
    whole = isinstance(labels, list) and all(isinstance(own, list) for own in labels)
    if not whole or len(labels) != IMAGES:
        found = f'{len(labels):,}' if whole else 'something else'
        raise ValueError(
            f'{path} must hold a list of labels for each of the {IMAGES:,} images, got '
            f'{found}: fetch it again from {SOURCE}'
        )
    return labels


def image_number(path: str) -> int:
    """Return the number of a file among ImageNet's validation images, from 1.

    Args:
        path: Its path.

    Raises:
        ValueError: If its name is not that of such an image.

    >>> image_number('val/n01558993/ILSVRC2012_val_00001598.JPEG')
    1598
    """
    found = FILE_NAME.fullmatch(Path(path).name)
    number = int(found[1]) if found else 0
    if not 1 <= number <= IMAGES:
        raise ValueError(
            f'{path} is not named as the images of the validation part of ImageNet, '
            f'ILSVRC2012_val_00000001.JPEG to {IMAGES:08d}: ReaL has labels of these only'
        )
    return number


def real_accuracy(
    predicted: Sequence[int], numbers: Sequence[int], labels: Sequence[Sequence[int]]
) -> float:
    """Compute the share of labelled images that are predicted as one of their labels.

    Args:
        predicted: The class predicted for each of N images.
        numbers: The number of each image, from 1.
        labels: The labels of all images; images without labels are not counted.

    Returns:
        Percent.

    Raises:
        ValueError: If none of the images has labels.
    """
    right = [p in labels[n - 1] for p, n in zip(predicted, numbers, strict=True) if labels[n - 1]]
    if not right:
        raise ValueError(f'none of the {len(predicted)} images has labels: nothing to measure')
    return 100 * float(np.mean(right))


@METRICS.register_module()
class ReaLAccuracy(BaseMetric):
    """Top-1 accuracy with the reassessed labels of ImageNet, as ``real/top1``, in percent.

    A prediction is correct if it is one of the labels of the image. Images that have no labels
    left are not counted. The file name identifies the image, so any subset and order of the
    validation images can be used.

    Source: L. Beyer et al., Are we done with ImageNet?, 2020.

    Args:
        real_json: The file with the labels.
        collect_device: Where ranks collect results: 'cpu' or 'gpu'.
        prefix: The prefix of the metric's name, instead of 'real'.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it has another content.
    """

    default_prefix = 'real'

    def __init__(
        self,
        real_json: str = 'data/imagenet/real.json',
        collect_device: str = 'cpu',
        prefix: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        self.labels = read_real_labels(real_json)

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Keep class and image number of each sample.

        Args:
            data_batch: Not used.
            data_samples: The outputs of the model, with ``'img_path'`` and ``'pred_score'`` or
                ``'pred_label'``.

        Raises:
            KeyError: If the pipeline does not pass on the path.
            ValueError: If an image is not from ImageNet's validation set.
        """
        for sample in data_samples:
            if 'img_path' not in sample:
                raise KeyError(
                    "a sample has no 'img_path', by which ReaL knows the image: leave it among "
                    'the meta_keys of PackInputs'
                )
            # as in the host's Accuracy, scores have precedence over the label
            score = sample.get('pred_score')
            label = sample['pred_label'] if score is None else torch.as_tensor(score).argmax()
            self.results.append((int(label), image_number(sample['img_path'])))

    def compute_metrics(self, results: list[tuple[int, int]]) -> dict[str, float]:
        """Compute the score of all samples.

        Args:
            results: Class and image number of each sample.
        """
        predicted, numbers = zip(*results, strict=True)
        return {'top1': real_accuracy(predicted, numbers, self.labels)}

    def __repr__(self) -> str:
        return f'ReaLAccuracy({sum(map(bool, self.labels)):,} images with labels)'

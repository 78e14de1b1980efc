"""Compute features of the images of a config's splits with a trained model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from mmengine.config import Config
from mmengine.model import BaseModel
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from mmpretrain.models import ImageClassifier
from mmpretrain.registry import DATASETS
from torch import Tensor
from torch.utils.data import DataLoader, SequentialSampler

from ..config_edits.evaluation_part import complete_test_part, evaluation_loader
from ..config_edits.split_loader import split_loader
from ..datasets.readable_part import readable_part
from ..evaluation.functional.encoding import encode_batches
from ..fileio.progress_bar import tracked


@dataclass(frozen=True)
class Features:
    """The encoded images of a split.

    Attributes:
        values: Pooled, before PCA and normalisation, float32 on the CPU, (N, D).
        labels: Their classes, (N,).
        queries: Which images are queries, bool (N,); all are if the dataset has no queries of its
            own.
        gallery: Which images are searched, bool (N,).
    """

    values: Tensor
    labels: np.ndarray
    queries: np.ndarray
    gallery: np.ndarray

    @property
    def labelled(self) -> tuple[Tensor, Tensor]:
        """Features (N, D) and labels (N,), in the form that probes take."""
        return self.values, torch.from_numpy(self.labels)


def read_split(cfg: Config, split: str, *, skip_unreadable: bool = False) -> DataLoader:
    """Build the loader of a split; training images get the test transforms and keep their order.

    Each process of a distributed run reads all images, and none waits for another. Photos of a
    user's folder are checked first.

    Args:
        cfg: The config.
        split: 'train', 'val' or 'test', which is 'val' if the config has no test part.
        skip_unreadable: Whether to leave out photos that cannot be read: the loader's dataset is
            then a ``ReadablePart``, which names them.

    Raises:
        FolderError: If photos cannot be read and are not left out.
        ValueError: If the config has no such split.
    """
    cfg = complete_test_part(cfg.copy())
    loader = {**split_loader(cfg, split, evaluation_loader(cfg)), 'persistent_workers': False}
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        dataset = DATASETS.build(loader['dataset'])
        if hasattr(dataset, 'full_init'):
            dataset.full_init()
        dataset = readable_part(dataset, skip=skip_unreadable)
        # the host's samplers share the images among the ranks, and exchange a seed between them
        loader.update(dataset=dataset, sampler=SequentialSampler(dataset))
        return Runner.build_dataloader(loader)


def encode(model: BaseModel, loader: DataLoader) -> Features:
    """Encode all images of a loader, in its order.

    If the backbone returns raw tokens, as under ``DRLocHead``, the class token is taken: the
    classifier reads it, and the same model without that head returns it.

    Args:
        model: A classifier (only its backbone and neck are used) or a retriever.
        loader: Its images.

    Raises:
        ValueError: If there are no images, or they have no classes.
    """
    values = None
    labels: list[int] = []
    roles: list[str] = []
    batches = tracked(loader, len(loader), 'Encoding')
    for found, samples in encode_batches(model, batches, partial(pooled_features, model)):
        if any('gt_label' not in sample for sample in samples):
            raise ValueError(
                f'the images of {type(loader.dataset).__name__} have no class labels: choose '
                'another split, config or dataset whose images have them'
            )
        if values is None:  # allocated once: no second copy at the end
            values = torch.empty(len(loader.dataset), found.shape[1])
        values[len(labels) : len(labels) + len(found)] = found.float().cpu()
        labels += [sample.gt_label.item() for sample in samples]
        roles += [sample.get('role') or '' for sample in samples]
    if values is None:
        raise ValueError('the loader holds no image')
    role = np.array(roles)
    return Features(values[: len(labels)], np.array(labels), role != 'gallery', role != 'query')


def pooled_features(model: BaseModel, inputs: Tensor) -> Tensor:
    """Encode preprocessed images (B, C, H, W) as one vector each (B, D).

    Args:
        model: A classifier (only its backbone and neck are used) or a retriever.
        inputs: The images.
    """
    has_token = getattr(model.backbone, 'num_extra_tokens', 0) > 0
    stage = {'stage': 'neck'} if isinstance(model, ImageClassifier) else {}
    return pool(model.extract_feat(inputs, **stage), has_token)


def pool(outputs: Tensor | Sequence, has_token: bool = False) -> Tensor:
    """Compute one vector per image from the outputs of a backbone or a neck.

    Args:
        outputs: The outputs. Of several, the last one is used; of a pair (patches, token), the
            class token. Maps (B, D, H, W) and tokens (B, N, D) are averaged.
        has_token: Whether tokens (B, 1 + N, D) begin with a class token, which is then returned.

    Raises:
        ValueError: If the outputs have another shape.

    >>> pool([torch.zeros(2, 8, 4, 4)]).shape
    torch.Size([2, 8])
    """
    while not isinstance(outputs, Tensor):
        outputs = outputs[-1]
    if outputs.dim() == 4:
        return outputs.mean((2, 3))  # (B, D, H, W) -> (B, D)
    if outputs.dim() == 3:
        return outputs[:, 0] if has_token else outputs.mean(1)  # (B, N, D) -> (B, D)
    if outputs.dim() != 2:
        raise ValueError(f'features of shape {tuple(outputs.shape)} cannot be pooled to (B, D)')
    return outputs

"""What frozen features of a backbone are good for: k-NN, few-shot and linear accuracy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.model import BaseModel
from mmengine.runner import CheckpointLoader
from mmpretrain import get_model
from mmpretrain.models import ImageClassifier
from torch import Tensor
from torch.utils.data import DataLoader

from ..config_edits.walking import preprocessor_of
from ..datasets.class_subset import choose_per_class
from ..datasets.splitting import stratified_split
from ..evaluation.functional.probes import (
    Standardizer,
    accuracy,
    knn_predict,
    logistic_fit,
    ridge_fit,
)
from ..evaluation.functional.statistics import summarize
from ..weights.loading import load_weights

DATA_SETTINGS = ('train_dataloader', 'val_dataloader', 'test_dataloader')


def use_data(cfg: Config, data: Config) -> Config:
    """Let a model's config read the images of another config.

    Mean and deviation stay those that the model was trained with; the order of channels is that
    of the other's images.

    Args:
        cfg: The config of the model, changed in place.
        data: The config of the images, as those of ``configs/_base_/datasets``.

    Returns:
        The same config.
    """
    for name in DATA_SETTINGS:
        cfg[name] = data[name]
    theirs = preprocessor_of(data) if 'model' in data else data.get('data_preprocessor') or {}
    preprocessor_of(cfg)['to_rgb'] = theirs.get('to_rgb', False)
    return cfg


def load_backbone(
    cfg: Config, checkpoint: str | Path | None, device: str | None = None
) -> BaseModel:
    """Build the model of a config and load its backbone; what fits no place, as a head, is left.

    Args:
        cfg: The config.
        checkpoint: The weights; None for those that a training would start from.
        device: Where to run. Default: a GPU if there is one.

    Raises:
        ValueError: If anything but the head does not fit the checkpoint, or there is no such
            device.
    """
    torch.manual_seed((cfg.get('randomness') or {}).get('seed') or 0)
    device = device or ('cuda' if torch.cuda.is_available() else 'cpu')
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:  # asserted: torch without CUDA
        told = str(error).splitlines()[0]
        raise ValueError(f'device {device!r} cannot be used: {told}') from None
    model = get_model(cfg, pretrained=False, device=device)
    if checkpoint is None:
        model.init_weights()
        return model.eval()
    state = CheckpointLoader.load_checkpoint(str(checkpoint), map_location='cpu', logger='silent')
    state = state if 'state_dict' in state else state.get('model', state)
    load_weights(model, state, f'{checkpoint}, with {cfg.filename},', may_differ=('head.',))
    return model.eval()


@torch.no_grad()
def extract_features(model: BaseModel, loader: DataLoader) -> tuple[Tensor, Tensor]:
    """Encode all images of a loader.

    Of raw tokens, as backbones under ``DRLocHead`` give, the class token is taken: what the
    classifier reads, and what the same model without that head gives.

    Args:
        model: A classifier, of which backbone and neck are used, or a retriever.
        loader: Its images.

    Returns:
        Features (N, D), float32 on the CPU, and labels (N,).

    Raises:
        ValueError: If the loader holds no image.
    """
    features = None
    labels: list[int] = []
    has_token = getattr(model.backbone, 'num_extra_tokens', 0) > 0
    for batch in loader:
        packed = model.data_preprocessor(batch, False)
        stage = {'stage': 'neck'} if isinstance(model, ImageClassifier) else {}
        outputs = model.extract_feat(packed['inputs'], **stage)
        found = pool(outputs, has_token).float().cpu()
        if features is None:  # one place for all: no second copy in the end
            features = torch.empty(len(loader.dataset), found.shape[1])
        features[len(labels) : len(labels) + len(found)] = found
        labels += [sample.gt_label.item() for sample in packed['data_samples']]
    if features is None:
        raise ValueError('the loader holds no image')
    return features[: len(labels)], torch.tensor(labels)


def pool(outputs: Tensor | Sequence, has_token: bool = False) -> Tensor:
    """Make one vector per image of what a backbone or a neck returns.

    Args:
        outputs: The last of several counts, and in it the class token of (patches, token); maps
            (B, D, H, W) and tokens (B, N, D) are averaged.
        has_token: Whether tokens (B, 1 + N, D) begin with a class token, which then stands for
            all.

    Raises:
        ValueError: If it is of another shape.

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


def probe_knn(
    train: tuple[Tensor, Tensor], test: tuple[Tensor, Tensor], k: int = 20
) -> dict[str, float]:
    """Measure the vote of the k nearest.

    Args:
        train: Features and labels.
        test: Features and labels.
        k: How many vote.
    """
    k = min(k, len(train[0]))
    return {f'{k}-NN': accuracy(knn_predict(test[0], *train, k=k), test[1])}


def probe_few_shot(
    train: tuple[Tensor, Tensor],
    test: tuple[Tensor, Tensor],
    shots: Sequence[int] = (1, 5, 10),
    seeds: Sequence[int] = (0, 1, 2),
    penalty: float = 1.0,
) -> dict[str, float]:
    """Measure least squares on a few images of each class, averaged over draws.

    Args:
        train: Features and labels.
        test: Features and labels.
        shots: How many images of each class; more than the smallest class has are left out, with
            a message.
        seeds: Of the draws.
        penalty: λ on standardised features.
    """
    features, labels = train
    classes = int(max(labels.max(), test[1].max())) + 1
    fewest = int(labels.bincount()[labels.unique()].min())
    results = {}
    if more := [number for number in shots if number > fewest]:
        print_log(f'left out: {more} shots, the smallest class has {fewest} images')
    for number in (n for n in shots if n <= fewest):
        found = []
        for seed in seeds:
            kept = choose_per_class(
                labels.tolist(), [''] * len(labels), num_per_class=number, mode='random', seed=seed
            )
            scale = Standardizer.of(features[kept])
            fitted = ridge_fit(scale(features[kept]), labels[kept], classes, penalty)
            found.append(accuracy(fitted.predict(scale(test[0])), test[1]))
        summary = summarize(found)
        results[f'{number}-shot'] = summary.mean
        if len(found) > 1:
            results[f'{number}-shot deviation'] = summary.std
    return results


def probe_linear(
    train: tuple[Tensor, Tensor],
    test: tuple[Tensor, Tensor],
    penalties: Sequence[float] = (1e-5, 1e-4, 1e-3, 1e-2),
    seed: int = 0,
) -> dict[str, float]:
    """Measure logistic regression; the penalty is chosen on a fifth of the training images.

    Args:
        train: Features and labels.
        test: Features and labels.
        penalties: λ on standardised features, to choose from; the first where each class has one
            image only.
        seed: Of the fifth.
    """
    scale = Standardizer.of(train[0])
    features, labels = scale(train[0]), train[1]
    classes = int(max(labels.max(), test[1].max())) + 1
    best = penalties[0]
    if len(penalties) > 1:
        keys = [str(i) for i in range(len(labels))]
        kept, held = stratified_split(keys, labels.tolist(), 0.2, seed)
        scores = {}
        for penalty in penalties if held else ():
            fitted = logistic_fit(features[kept], labels[kept], classes, penalty)
            scores[penalty] = accuracy(fitted.predict(features[held]), labels[held])
        if held:
            best = max(scores, key=scores.get)
        else:
            print_log(
                f'one image of each class leaves none to choose the penalty on: {best:g}, the '
                f'first, is taken'
            )
    fitted = logistic_fit(features, labels, classes, best)
    return {'linear': accuracy(fitted.predict(scale(test[0])), test[1]), 'linear penalty': best}


def as_table(results: Mapping[str, float]) -> str:
    """Write the results down, a line each.

    Args:
        results: Name to value.

    >>> print(as_table({'20-NN': 91.234, 'linear penalty': 1e-05}))
    20-NN               91.23
    linear penalty      1e-05
    """
    return '\n'.join(
        f'{name:<18}  {value:.6g}' if 'penalty' in name else f'{name:<18}  {value:.2f}'
        for name, value in results.items()
    )

"""Compute the cost of a setting's model: its parameters, and multiplications per prediction."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from mmengine.registry import DefaultScope
from mmpretrain.registry import MODELS, TRANSFORMS
from torch.utils.flop_counter import FlopCounterMode

from ..config_edits.walking import leaf_datasets
from .grid import Cell

Shape = tuple[int, int, int]
# Two photos that share neither side nor aspect: equal output sizes are set by the pipeline.
PHOTOS = ((640, 512), (560, 720))


@dataclass(frozen=True)
class ModelCost:
    """The cost of a model.

    Attributes:
        parameters: Number of all parameters, including those of the loss; None if unknown.
        gmacs: 10^9 multiplications to predict one image; None if unknown.
        problem: Why a value is unknown.
    """

    parameters: int | None = None
    gmacs: float | None = None
    problem: str = ''


def setting_costs(cells: Iterable[Cell], measure: str) -> dict[tuple[str, ...], ModelCost]:
    """Compute the cost of the last stage of each setting; no cell is changed.

    Args:
        cells: Cells of a study; the first cell of a setting represents all its seeds.
        measure: The loader that gives the image size: 'test' or 'val'.

    Returns:
        The levels, in the order of the axes, to the cost.
    """
    first: dict[tuple[str, ...], Cell] = {}
    for cell in cells:
        first.setdefault(tuple(cell.levels.values()), cell)
    known: dict[str, ModelCost] = {}
    costs = {}
    for key, cell in first.items():
        cfg, shape, problem = cell.stages[-1], None, ''
        try:
            shape = image_shape(cfg, measure)
        except ValueError as error:
            problem = str(error)
        name = json.dumps([cfg.get('model'), shape], sort_keys=True, default=str)
        if name not in known:
            known[name] = count_cost(cfg.get('model'), shape, problem)
        costs[key] = known[name]
    return costs


def count_cost(model: Mapping[str, Any], shape: Shape | None, problem: str = '') -> ModelCost:
    """Compute the parameters of a model and its multiplications in a prediction.

    Matrix products and convolutions count, attention included; normalisation, activation and
    interpolation do not. Tables that a trained model computes once count here as well.

    Args:
        model: The config of the model.
        shape: Channels, height and width of an image; None counts parameters only.
        problem: Why there is no shape.
    """
    try:
        with DefaultScope.overwrite_default_scope('mmpretrain'):
            built = MODELS.build(deepcopy(model))
    except Exception as error:  # any error: the report has more content than this
        return ModelCost(problem=_told('the model does not build here', error))
    parameters = sum(param.numel() for param in built.parameters())
    if shape is None:
        return ModelCost(parameters, problem=problem)
    built.train(False)
    try:
        with torch.no_grad(), _plain_attention(), FlopCounterMode(display=False) as counter:
            built(torch.zeros(1, *shape))
    except Exception as error:
        return ModelCost(parameters, problem=_told(f'no prediction for {shape}', error))
    return ModelCost(parameters, counter.get_total_flops() / 2e9)


def image_shape(cfg: Mapping[str, Any], part: str = 'test') -> Shape:
    """Return the shape (C, H, W) of the images that a config predicts.

    It is the shape that the pipeline gives to any photo. A pipeline that keeps the size of its
    images has no such shape. Then the training pipeline is used, whose images are batched, and
    after that the backbone.

    Args:
        cfg: The config.
        part: The loader to use: 'test' or 'val'.

    Raises:
        ValueError: If none of them gives a shape.
    """
    found = []
    for name in dict.fromkeys((part, 'train')):
        try:
            pipeline = leaf_datasets(cfg[f'{name}_dataloader']['dataset'])[0]['pipeline']
            shapes = {_pipeline_output(pipeline, p) for p in PHOTOS}
        except Exception as error:  # any error, as above
            found.append(_told(f'{name} pipeline', error))
            continue
        if len(shapes) == 1:
            return shapes.pop()
        found.append(f'{name} pipeline: keeps the size of its images')
    size = cfg.get('model', {}).get('backbone', {}).get('img_size')
    if size is None:
        raise ValueError(f'no image size: {"; ".join(found)}; backbone: no img_size')
    height, width = (size, size) if isinstance(size, int) else size
    return 3, height, width


def _pipeline_output(pipeline: list[dict], size: tuple[int, int]) -> Shape:
    """Return the shape of a grey photo after all steps except the one that reads the file."""
    photo = np.full((*size, 3), 128, np.uint8)
    results = dict(
        img=photo, img_shape=size, ori_shape=size, gt_label=0, img_path='', sample_idx=0
    )
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        for step in pipeline:
            if not step['type'].split('.')[-1].startswith('Load'):
                results = TRANSFORMS.build(deepcopy(step))(results)
    return tuple(results['inputs'].shape)


@contextmanager
def _plain_attention() -> Iterator[None]:
    """Run attention as matrix products, as some versions of PyTorch do not count fused kernels."""
    before = torch.backends.cuda.flash_sdp_enabled()
    torch.backends.cuda.enable_flash_sdp(False)
    try:
        yield
    finally:
        torch.backends.cuda.enable_flash_sdp(before)


def _told(what: str, error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return ': '.join([what, type(error).__name__, *lines[:1]])

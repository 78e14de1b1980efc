"""Pictures for one photo: what a token attends to, rollout, GradCAM."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from mmengine.model import BaseModel
from torch import Tensor

from ...evaluation.functional.attention_rollout import attention_rollout
from ...models.inspection.attention_maps import (
    LayerAttention,
    NothingToReadError,
    read_attention,
)
from ...visualization.attention import plot_attention, plot_overlays
from ...visualization.layer_panels import short_name
from .grad_cam import cam_layers, grad_cam
from .look import CENTRE, CLASS, Look, Question, choose
from .shown_photo import ShownPhoto


class _Row(NamedTuple):
    """What a token attends to in one layer: maps (h, H', W'), and gates (h,) if there are any."""

    name: str
    maps: np.ndarray | None
    gates: np.ndarray | None

    def of_head(self, number: int | None) -> _Row:
        kept = choose(number, len(self.maps), 'head')
        return _Row(self.name, self.maps[kept], None if self.gates is None else self.gates[kept])


class _QueryReader:
    """Reader that keeps, for each layer, what one token attends to, and where that token is."""

    def __init__(self, query: str | tuple[int, int]) -> None:
        self.query = query
        self.share: tuple[float, float] | None = None  # (x, y) as shares of width and height

    def __call__(self, layer: LayerAttention) -> _Row:
        gates = None if layer.gates is None else layer.gates.cpu().numpy()
        if self.query == CLASS:
            found = layer.of_class_token
        else:
            self.share = self.share or _share(self.query, layer.grid)
            x, y = self.share
            found = layer.of_query(int(y * layer.grid[0]), int(x * layer.grid[1]))
        return _Row(layer.name, None if found is None else found[0].cpu().numpy(), gates)


def _share(query: str | tuple[int, int], grid: tuple[int, int]) -> tuple[float, float]:
    rows, columns = grid
    row, column = (rows // 2, columns // 2) if query == CENTRE else query
    if not (0 <= row < rows and 0 <= column < columns):
        raise ValueError(
            f'there is no patch in row {row}, column {column}: the grid has rows 0 to {rows - 1} '
            f'and columns 0 to {columns - 1}'
        )
    return (column + 0.5) / columns, (row + 0.5) / rows


def look_at_attention(model: BaseModel, photo: ShownPhoto, question: Question) -> Look:
    """Plot what one token attends to in each layer and head.

    Args:
        model: The model.
        photo: The photo.
        question: Its layer, head and query are used.

    Raises:
        NothingToReadError: If the model has no attention, or no class token although one was asked
            for.
        ValueError: If there is no such layer, head or patch.
    """
    reader = _QueryReader(question.query)
    rows = read_attention(model, photo.inputs, reader)
    rows = [rows[number] for number in choose(question.layer, len(rows), 'layer')]
    rows = [row.of_head(question.head) for row in rows if row.maps is not None]
    if not rows:
        raise NothingToReadError(
            'no class token attends in these layers: ask for a patch, as --query centre does'
        )
    numbers = None if question.head is None else [question.head]
    names = [short_name(row.name) for row in rows]
    maps, gates = [row.maps for row in rows], [row.gates for row in rows]
    figure = plot_attention(photo.pixels, maps, names, gates, reader.share, numbers)
    arrays = {row.name: row.maps for row in rows}
    arrays |= {f'{row.name}.gates': row.gates for row in rows if row.gates is not None}
    who = 'the class token'
    if reader.share is not None:
        who = (
            f'the patch at {reader.share[0]:.0%} of the width, {reader.share[1]:.0%} of the height'
        )
    return Look(figure, arrays, f'what {who} attends to in {len(rows)} layers')


def look_at_rollout(model: BaseModel, photo: ShownPhoto, question: Question) -> Look:
    """Plot how much each patch contributes to the class token, a patch, or the patches' mean.

    Args:
        model: The model.
        photo: The photo.
        question: The last layer that counts, and the token: by default the class token, or the
            mean if there is none.

    Raises:
        NothingToReadError: If the model has no attention, or its layers do not keep their tokens.
    """
    layers = read_attention(model, photo.inputs)
    if (
        any(layer.values.shape[2] != layer.values.shape[3] for layer in layers)
        or len({layer.grid for layer in layers}) > 1
    ):
        raise NothingToReadError(
            f'{type(getattr(model, "backbone", model)).__name__} merges its patches on the way: a '
            'rollout needs layers that keep them, as ConViT, ViT, DeiT and DeiT III, hybrid ViT '
            'and T2T-ViT have; take --what attention'
        )
    last = choose(question.layer, len(layers), 'layer')[-1]
    matrix = attention_rollout([layer.values for layer in layers[: last + 1]])[0]
    extra = layers[last].num_extra_tokens
    row, whose = _rolled_out(matrix, extra, layers[last].grid, question.query)
    found = row[extra:].unflatten(0, layers[last].grid).cpu().numpy()
    title = f'{whose}, layers 1 to {last + 1}'
    figure = plot_overlays(photo.pixels, [found], [title])
    return Look(figure, {'rollout': found}, f'rollout of the {title}')


def _rolled_out(
    matrix: Tensor, extra: int, grid: tuple[int, int], query: str | tuple[int, int]
) -> tuple[Tensor, str]:
    """Return the row of a rollout that is asked for, and the name of its token."""
    if query == CLASS and not extra:
        raise NothingToReadError(
            'there is no class token up to this layer: take a later --layer, or --query ROW,COLUMN'
        )
    if query in (CENTRE, CLASS):
        if extra:
            return matrix[0], 'class token'
        return matrix.mean(0), 'mean of the patches'
    row, column = query
    if not (0 <= row < grid[0] and 0 <= column < grid[1]):
        raise ValueError(
            f'--query {row},{column}: the patches are {grid[0]} rows of {grid[1]}, counted from 0'
        )
    return matrix[extra + row * grid[1] + column], f'patch in row {row}, column {column}'


def look_at_cam(model: BaseModel, photo: ShownPhoto, question: Question) -> Look:
    """Plot where a classifier sees a class.

    Args:
        model: The classifier.
        photo: The photo.
        question: Its layer and class are used.

    Raises:
        ImportError: If Captum is missing.
        NothingToReadError: If the model predicts no classes.
    """
    layers = cam_layers(model, photo.inputs)
    layer = layers[choose(question.layer, len(layers), 'layer')[-1]]
    found, target = grad_cam(model, photo.inputs, layer, question.target)
    name = question.class_name(target)
    figure = plot_overlays(photo.pixels, [found], [name])
    return Look(figure, {'cam': found}, f'GradCAM of {name} at {layer.name}')

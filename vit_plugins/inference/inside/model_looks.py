"""Pictures of a model as a whole: from its weights, or from several photos together."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from mmengine.model import BaseModel

from ...evaluation.functional.offset_errors import mean_by_offset, offset_errors
from ...evaluation.functional.patch_filters import filter_components
from ...evaluation.functional.plane_projection import project_by_pca, project_by_tsne
from ...evaluation.functional.position_similarity import position_similarity
from ...models.inspection.embedding_weights import patch_filters, position_embeddings
from ...models.inspection.gates import read_gates
from ...models.inspection.locality import measure_locality
from ...models.inspection.offsets import predict_offsets
from ...visualization.embedding_weights import plot_filters, plot_position_similarity
from ...visualization.embeddings import plot_photo_scatter
from ...visualization.gates import plot_gates
from ...visualization.layer_panels import short_name
from ...visualization.locality import plot_nonlocality
from ...visualization.offsets import plot_offsets
from ..features import pooled_features
from .look import Look, Question
from .shown_photo import ShownPhoto, stack_inputs

MOST_FILTERS = 28  # as in Fig. 7 of ViT


def look_at_gates(model: BaseModel, photos: Sequence[ShownPhoto], question: Question) -> Look:
    """Plot the gate of each head.

    Args:
        model: The model.
        photos: Not needed.
        question: Not needed.

    Raises:
        NothingToReadError: If the model has no gates.
    """
    found = read_gates(model)
    figure = plot_gates(found.gates, [short_name(name) for name in found.layers])
    arrays = dict(gates=found.gates, centres=found.centres, strengths=found.strengths)
    means = ', '.join(f'{value:.2f}' for value in found.gates.mean(1))
    return Look(figure, arrays, f'mean gate of each layer, 1 is position alone: {means}')


def look_at_nonlocality(
    model: BaseModel, photos: Sequence[ShownPhoto], question: Question
) -> Look:
    """Plot how far each head looks; in pixels if the grid changes from layer to layer.

    Args:
        model: The model.
        photos: The photos; the mean over them is shown.
        question: Its mode is used.

    Raises:
        NothingToReadError: If the model has no attention that can be read in this mode.
    """
    found = measure_locality(model, stack_inputs(photos), question.mode)
    one_grid = len(set(found.uniform)) == 1
    names = [short_name(name) for name in found.layers]
    figure = plot_nonlocality(
        found.nonlocality if one_grid else found.pixels,
        found.mode,
        found.uniform if one_grid else None,
        None if one_grid else names,
        'patches' if one_grid else 'pixels',
    )
    arrays = dict(
        nonlocality=_padded(found.nonlocality),
        pixels=_padded(found.pixels),
        uniform=np.array(found.uniform),
        mode=np.array(found.mode),
    )
    means = ', '.join(f'{heads.mean():.2f}' for heads in found.nonlocality)
    return Look(figure, arrays, f'non-locality of each layer in patches ({found.mode}): {means}')


def look_at_offsets(model: BaseModel, photos: Sequence[ShownPhoto], question: Question) -> Look:
    """Plot the offsets between patches that a DRLoc head predicts, against the true ones.

    Args:
        model: The classifier.
        photos: The photos.
        question: Its seed chooses the pairs.

    Raises:
        NothingToReadError: If the model has no DRLoc head.
    """
    samples = [photo.sample for photo in photos]
    found = predict_offsets(model, stack_inputs(photos), samples, seed=question.seed)
    errors = offset_errors(found.predicted, found.true)
    true, mean, counts = (part.numpy() for part in mean_by_offset(found.predicted, found.true))
    figure = plot_offsets(true, mean, counts, errors.tolist(), found.grid)
    arrays = dict(predicted=found.predicted.numpy(), true=found.true.numpy(), error=errors.numpy())
    rows, columns = errors.tolist()
    words = f'mean error of offsets in cells: {rows:.2f} along rows, {columns:.2f} along columns'
    return Look(figure, arrays, words)


def look_at_positions(model: BaseModel, photos: Sequence[ShownPhoto], question: Question) -> Look:
    """Plot how similar the position embeddings of patches are.

    Args:
        model: The model.
        photos: Not needed.
        question: Not needed.

    Raises:
        NothingToReadError: If the model has no position embedding.
    """
    embed, grid = position_embeddings(model)
    found = position_similarity(embed, grid).cpu().numpy()
    words = f'cosine similarity of {grid[0]} x {grid[1]} position embeddings'
    return Look(plot_position_similarity(found), dict(similarity=found), words)


def look_at_filters(model: BaseModel, photos: Sequence[ShownPhoto], question: Question) -> Look:
    """Plot the principal components of the first filters.

    Args:
        model: The model.
        photos: Not needed.
        question: Not needed.

    Raises:
        NothingToReadError: If the model does not begin with a convolution.
    """
    name, weight = patch_filters(model)
    components, shares = (part.cpu().numpy() for part in filter_components(weight, MOST_FILTERS))
    words = (
        f'{len(shares)} principal components of {len(weight)} filters of {name}, with '
        f'{shares.sum():.0%} of their variance'
    )
    figure = plot_filters(components, shares)
    return Look(figure, dict(components=components, shares=shares), words)


@torch.no_grad()
def look_at_embedding(model: BaseModel, photos: Sequence[ShownPhoto], question: Question) -> Look:
    """Plot photos at the points of their embeddings, by PCA and by t-SNE.

    Args:
        model: The model.
        photos: Five photos or more; frames have a colour for each folder.
        question: Its seed is that of t-SNE.

    Raises:
        ValueError: If there are fewer photos.
    """
    if len(photos) < 5:
        raise ValueError(
            f'an embedding is of five photos or more, got {len(photos)}: name more, or a folder'
        )
    features = torch.cat([pooled_features(model, photo.inputs) for photo in photos])
    features = features.float().cpu().numpy()
    points, share = project_by_pca(features)
    panels = {
        f'PCA, {share:.0%} of the variance': points,
        't-SNE': project_by_tsne(features, question.seed),
    }
    classes = [Path(photo.name).parent.name for photo in photos]
    figure = plot_photo_scatter(panels, [photo.pixels for photo in photos], classes)
    arrays = dict(features=features, pca=points, tsne=panels['t-SNE'], classes=np.array(classes))
    arrays['photos'] = np.array([photo.name for photo in photos])
    return Look(figure, arrays, f'{len(photos)} photos, {features.shape[1]} dimensions')


def _padded(rows: Sequence[np.ndarray]) -> np.ndarray:
    """Return values of layers with different numbers of heads as one array, padded with NaN."""
    table = np.full((len(rows), max(map(len, rows))), np.nan, np.float32)
    for place, row in enumerate(rows):
        table[place, : len(row)] = row
    return table

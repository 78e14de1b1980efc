"""Compare the outputs of a file with those of the trained model, on photos and random images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from . import deployed
from .deployable import Deployable
from .export_formats import Runner
from .export_program import ExportError


def check_outputs(
    deployable: Deployable,
    runner: Runner,
    metadata: dict[str, str],
    photos: Sequence[str | Path],
    sizes: Sequence[tuple[int, int]],
    tolerance: float,
) -> float:
    """Compare a file with the trained model, alone and in batches; return the difference.

    The trained model receives photos through its own test transforms. The file receives them as
    :mod:`~.deployed` prepares them from the metadata alone.

    Args:
        deployable: The model.
        runner: Runs the file.
        metadata: The metadata of the file.
        photos: Image files.
        sizes: Further heights and widths to try with random images.
        tolerance: The largest allowed difference, relative to the largest output (at least 1).

    Raises:
        ExportError: If an output differs by more.
    """
    worst = 0.0
    for what, given, seen in _check_batches(deployable, metadata, photos, sizes):
        expected = trained_outputs(deployable, given)
        try:
            found = runner(seen)
        except Exception as error:  # any error of onnxruntime or torch
            reason = str(error).strip().splitlines()[0] if str(error).strip() else error
            raise ExportError(f'the file cannot be run on {what}: {reason}') from error
        difference = largest_difference(found, expected)
        if not difference <= tolerance:  # also false for NaN
            raise ExportError(
                f'the file was removed: on {what} its outputs differ by {difference:.1e} from '
                f'those of the trained model, more than {tolerance:.0e}'
            )
        worst = max(worst, difference)
    return worst


def _check_batches(
    deployable: Deployable,
    metadata: dict[str, str],
    photos: Sequence[str | Path],
    sizes: Sequence[tuple[int, int]],
) -> Iterator[tuple[str, Tensor, np.ndarray]]:
    """Yield the inputs to compare: a description, images for the model, images for the file."""
    pairs = [(photo_input(deployable, p), deployed.prepare(p, metadata)) for p in photos]
    for photo, (given, seen) in zip(photos, pairs, strict=True):
        yield f'{photo}', given, seen
    if len({seen.shape for _, seen in pairs}) == 1 and len(pairs) > 1:
        given, seen = zip(*pairs, strict=True)
        yield f'a batch of {len(pairs)} photos', torch.cat(given), np.concatenate(seen)
    generator = torch.Generator().manual_seed(0)
    for number, (height, width) in [(3, deployable.size), *((1, size) for size in sizes)]:
        shape = number, deployable.channels, height, width
        images = torch.randn(shape, generator=generator)
        yield f'{number} random images of {height} x {width}', images, images.numpy()


def photo_input(deployable: Deployable, photo: str | Path) -> Tensor:
    """Return a photo as input of the trained model, (1, C, H, W).

    Args:
        deployable: The model.
        photo: The file.
    """
    packed = deployable.trained.pipeline({'img_path': str(photo)})
    batch = {'inputs': [packed['inputs']], 'data_samples': [packed['data_samples']]}
    return deployable.trained.model.data_preprocessor(batch)['inputs']


@torch.no_grad()
def trained_outputs(deployable: Deployable, images: Tensor) -> list[np.ndarray]:
    """Return the outputs of the trained model for images.

    Args:
        deployable: The model.
        images: Normalised, (B, C, H, W).
    """
    model, task = deployable.trained.model, deployable.metadata['task']
    if task == 'features':
        backbone = model.backbone
        out_type = getattr(backbone, 'out_type', None)
        try:
            if out_type is not None:
                backbone.out_type = 'featmap'
            return [output.numpy() for output in backbone(images)]
        finally:
            if out_type is not None:
                backbone.out_type = out_type
    samples = model.predict(images)
    field = 'pred_score' if task == 'classify' else 'embedding'
    return [torch.stack([sample.get(field) for sample in samples]).numpy()]


def largest_difference(found: Sequence[np.ndarray], expected: Sequence[np.ndarray]) -> float:
    """Return the largest difference of an element, over the largest expected one (at least 1).

    Args:
        found: Arrays.
        expected: Arrays of the same shapes; if a shape differs, the difference is infinite.

    >>> largest_difference([np.array([1.0, 21.0])], [np.array([1.0, 20.0])])
    0.05
    """
    if [a.shape for a in found] != [b.shape for b in expected]:
        return float('inf')
    return max(
        float(np.abs(a - b).max()) / max(1.0, float(np.abs(b).max()))
        for a, b in zip(found, expected, strict=True)
    )

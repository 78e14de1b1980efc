"""Write a trained model to one file for other programs, and check it against the model at once."""

from __future__ import annotations

import importlib
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from mmengine.utils import digit_version

from ..resources import package_version
from . import deployed
from .deployable import Deployable
from .export_check import check_outputs
from .export_formats import OPENERS, write_onnx, write_safetensors, write_torch
from .export_program import ExportError, export_program, least_size, other_sizes

NEEDED = {'onnx': ('onnx', 'onnxscript', 'onnxruntime'), 'safetensors': ('safetensors',)}
OLDEST_TORCH = '2.6'  # its torch.export leaves sizes of the host's transformers free
# Relative to the largest output (at least 1). Half precision has 11 bits, and the errors of a
# dozen layers add up.
TOLERANCE, HALF_TOLERANCE = 1e-4, 1e-2
PROGRAM = 'run_onnx.py'


@dataclass(frozen=True)
class Exported:
    """An exported file that was written and checked.

    Attributes:
        path: The file.
        difference: The largest difference of an output from the trained model's, over the largest
            output (at least 1).
        tolerance: What was allowed.
        least_size: The smallest height and width that the file accepts, if the size is free and it
            is known.
        with_photos: Whether the check used photos with all their test transforms.
    """

    path: Path
    difference: float
    tolerance: float
    least_size: tuple[int, int] | None
    with_photos: bool


def require_packages(form: str) -> None:
    """Check early that a format can be written and checked, before any slow step.

    Args:
        form: One of ``SUFFIXES``.

    Raises:
        ExportError: If a package is missing or torch is too old.
    """
    missing = []
    for name in NEEDED.get(form, ()):
        try:
            importlib.import_module(name)
        except ImportError:
            missing.append(name)
    if missing:
        raise ExportError(
            f'--format {form} needs {", ".join(missing)}: pip install "vit-plugins[export]"'
        )
    if form != 'safetensors' and digit_version(torch.__version__) < digit_version(OLDEST_TORCH):
        raise ExportError(
            f'--format {form} needs torch {OLDEST_TORCH} or newer, this is {torch.__version__}: '
            'take --format safetensors, or update torch'
        )


def export_model(
    deployable: Deployable,
    form: str,
    path: str | Path,
    photos: Sequence[str | Path],
    *,
    dynamic_size: bool = False,
) -> Exported:
    """Write a file, run it, and keep it only if its outputs equal those of the trained model.

    The batch size is free in ``'onnx'`` and ``'torch'``. If an ONNX file returns classes or
    descriptors, the short program that runs it is written beside it.

    Args:
        deployable: The model.
        form: ``'onnx'``, ``'torch'`` (``torch.export``) or ``'safetensors'`` (weights).
        path: The file to write.
        photos: Image files to compare on; without any, random images are used.
        dynamic_size: Whether height and width are free, too.

    Raises:
        ExportError: If it cannot be written, or its outputs differ; then no file is left.
    """
    require_packages(form)
    path = Path(path)
    part = path.with_name(f'part-{path.name}')
    metadata = deployable.metadata | {'vit_plugins': package_version()}
    try:
        if form == 'safetensors':
            write_safetensors(deployable, metadata, part)
            least = None
        else:
            program = export_program(deployable, dynamic_size)
            least = least_size(program) if dynamic_size else None
            write = write_onnx if form == 'onnx' else write_torch
            write(program, metadata, part)
        runner, found = OPENERS[form](part, deployable)
        if {key: found.get(key) for key in metadata} != metadata:
            raise ExportError(f'{path} does not hold the metadata that was written to it')
        sizes = other_sizes(deployable.size) if dynamic_size else []
        half = deployable.network.dtype == torch.float16
        tolerance = HALF_TOLERANCE if half else TOLERANCE
        difference = check_outputs(deployable, runner, metadata, photos, sizes, tolerance)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    if form == 'onnx':
        shutil.copyfile(deployed.__file__, path.with_name(PROGRAM))
    return Exported(path, difference, tolerance, least, bool(photos))

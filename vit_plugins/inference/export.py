"""Write a trained model to one file for other programs, and check it against the model at once."""

from __future__ import annotations

import importlib
import json
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch
from mmcv.cnn.bricks.transformer import AdaptivePadding
from mmengine.utils import digit_version
from mmpretrain.models.utils import resize_pos_embed
from torch import Tensor

from ..models.heads.drloc_weights import plain_state_dict
from ..models.layers.free_size import is_free, pad_to_patches, resize_positions
from ..resources import package_version
from ..weights.loading import SPARED, load_weights
from . import deployed
from .deployable import TASKS, Deployable, Network

SUFFIXES = {'onnx': '.onnx', 'torch': '.pt2', 'safetensors': '.safetensors'}
NEEDED = {'onnx': ('onnx', 'onnxscript', 'onnxruntime'), 'safetensors': ('safetensors',)}
OLDEST_TORCH = '2.6'  # whose torch.export leaves sizes of the host's transformers free
# Of the largest output, at least 1. Half precision has 11 bits, which a dozen layers add up.
TOLERANCE, HALF_TOLERANCE = 1e-4, 1e-2
METADATA_FILE = 'metadata.json'  # among the extra files of torch.export
PROGRAM = 'run_onnx.py'

Runner = Callable[[np.ndarray], list[np.ndarray]]


class ExportError(ValueError):
    """A model cannot be exported as asked; the message says why and what to do."""


@dataclass(frozen=True)
class Exported:
    """A file that was written and checked.

    Attributes:
        path: The file.
        difference: The largest difference of an output from the trained model's, over the largest
            output (at least 1).
        tolerance: What was allowed.
        least_size: The smallest height and width that a free size takes, if it is known.
        with_photos: Whether photos took part in the check, with all that is done to them.
    """

    path: Path
    difference: float
    tolerance: float
    least_size: tuple[int, int] | None
    with_photos: bool


def require_packages(form: str) -> None:
    """Check, before anything that takes time, that a format can be written and checked.

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
    """Write a file, run it, and keep it only if it gives what the trained model gives.

    The batch size is free in ``'onnx'`` and ``'torch'``. Beside an ONNX file that names classes
    or gives descriptors stands the short program that runs it.

    Args:
        deployable: The model.
        form: ``'onnx'``, ``'torch'`` (``torch.export``) or ``'safetensors'`` (weights).
        path: The file to write.
        photos: Image files to compare on; with none, random images are compared.
        dynamic_size: Whether height and width are free, too.

    Raises:
        ExportError: If it cannot be written, or gives something else; no file is left then.
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


# --- the program of tensors ---------------------------------------------------------------------


@contextmanager
def host_sizes_free() -> Iterator[None]:
    """Free the image size of the host's transformers as well: they branch on the grid."""
    pad = AdaptivePadding.forward

    def forward(self: AdaptivePadding, x: Tensor) -> Tensor:
        return pad_to_patches(self, x) if is_free(*x.shape[-2:]) else pad(self, x)

    with ExitStack() as stack:
        stack.enter_context(patch.object(AdaptivePadding, 'forward', forward))
        for name, module in list(sys.modules.items()):
            found = vars(module).get('resize_pos_embed') if module is not None else None
            if name.startswith('mmpretrain.models.backbones') and found is resize_pos_embed:
                stack.enter_context(patch.object(module, 'resize_pos_embed', resize_positions))
        yield


def export_program(deployable: Deployable, dynamic_size: bool) -> torch.export.ExportedProgram:
    """Trace the network with a free batch size.

    Args:
        deployable: The model.
        dynamic_size: Whether height and width are free, too.

    Raises:
        ExportError: If the network fixes its size.
    """
    height, width = deployable.size
    free = {0: torch.export.Dim('batch', min=1)}
    if dynamic_size:
        # Sizes without a pattern: what holds for them by chance would be held to.
        height, width = 2 * height + 11, 3 * width + 6
        free |= {2: torch.export.Dim.DYNAMIC, 3: torch.export.Dim.DYNAMIC}
    images = torch.zeros(2, deployable.channels, height, width)
    network = deployable.network
    try:
        with torch.no_grad(), host_sizes_free():
            return torch.export.export(
                network, (images,), dynamic_shapes=({**free},), strict=False
            )
    except (torch._dynamo.exc.UserError, RuntimeError, ValueError, AssertionError) as error:
        what = 'height and width' if dynamic_size else 'the batch size'
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        advice = 'leave --dynamic-size out' if dynamic_size else 'take --format safetensors'
        raise ExportError(
            f'{type(network.backbone).__name__} cannot be exported with {what} free: {advice} '
            f'({reason})'
        ) from error


def least_size(program: torch.export.ExportedProgram) -> tuple[int, int] | None:
    """Return the smallest height and width that a program takes; None if they are not free.

    Args:
        program: Of :func:`export_program`.
    """
    images = next(n for n in program.graph.nodes if n.op == 'placeholder' and n.name == 'images')
    sides = images.meta['val'].shape[2:]
    if not is_free(*sides):
        return None
    ranges = [program.range_constraints.get(side.node.expr) for side in sides if is_free(side)]
    if len(ranges) != 2 or None in ranges:
        return None
    return tuple(int(found.lower) for found in ranges)


def other_sizes(size: tuple[int, int]) -> list[tuple[int, int]]:
    """Return sizes to check a free size with: upright, lying, and no multiple of a patch.

    Args:
        size: Usual height and width.

    >>> other_sizes((32, 32))
    [(64, 32), (37, 49)]
    """
    height, width = size
    return [(2 * height, width), (height + 5, 3 * width // 2 + 1)]


# --- the formats --------------------------------------------------------------------------------


def write_onnx(
    program: torch.export.ExportedProgram, metadata: dict[str, str], path: Path
) -> None:
    """Write an ONNX file; the metadata is in its ``metadata_props``.

    Args:
        program: The network.
        metadata: What a program must know.
        path: The file.
    """
    count = len(program.graph_signature.user_outputs)
    name = TASKS[metadata['task']]
    names = [name] if count == 1 else [f'{name}_{i}' for i in range(count)]
    onnx = torch.onnx.export(
        program, dynamo=True, input_names=['images'], output_names=names, verbose=False
    )
    for node in onnx.model.graph:  # where in the sources it comes from: paths of this machine
        node.metadata_props.clear()
    onnx.model.metadata_props.update(metadata)
    onnx.save(path)


def write_torch(
    program: torch.export.ExportedProgram, metadata: dict[str, str], path: Path
) -> None:
    """Write what ``torch.export.load`` reads; the metadata is an extra file of it.

    Args:
        program: The network.
        metadata: What a program must know.
        path: The file.
    """
    with path.open('wb') as file:  # a path would have to end in .pt2
        torch.export.save(program, file, extra_files={METADATA_FILE: json.dumps(metadata)})


def write_safetensors(deployable: Deployable, metadata: dict[str, str], path: Path) -> None:
    """Write the weights of the model without what only training needs.

    Args:
        deployable: The model.
        metadata: What a program must know.
        path: The file.
    """
    from safetensors.torch import save_file

    weights = deployed_weights(deployable.trained.model.state_dict())
    dtype = deployable.network.dtype
    ready = {
        name: (value.to(dtype) if value.is_floating_point() else value).contiguous().clone()
        for name, value in weights.items()
    }
    save_file(ready, path, metadata)


def deployed_weights(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Leave out of a state dict what only training needs; DRLoc vanishes.

    Args:
        state: Weights of a classifier or retriever.
    """
    if any(name.startswith('head.drloc.') for name in state):
        state = plain_state_dict(state)
    return {name: value for name, value in state.items() if not SPARED.fullmatch(name)}


def _open_onnx(path: Path, deployable: Deployable) -> tuple[Runner, dict[str, str]]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, providers=['CPUExecutionProvider'])
    metadata = session.get_modelmeta().custom_metadata_map
    return lambda images: session.run(None, {'images': images}), metadata


def _open_torch(path: Path, deployable: Deployable) -> tuple[Runner, dict[str, str]]:
    extra = {METADATA_FILE: ''}
    with path.open('rb') as file:
        module = torch.export.load(file, extra_files=extra).module()
    return partial(_run_module, module), json.loads(extra[METADATA_FILE])


def _open_safetensors(path: Path, deployable: Deployable) -> tuple[Runner, dict[str, str]]:
    from copy import deepcopy

    from safetensors import safe_open

    with safe_open(path, 'pt') as file:
        metadata = file.metadata()
        weights = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
    model = deepcopy(deployable.trained.model)
    for parameter in model.parameters():
        parameter.data.zero_()  # each has to come from the file
    load_weights(model, weights, str(path))
    return partial(_run_module, Network(model, metadata['task'])), metadata


OPENERS = {'onnx': _open_onnx, 'torch': _open_torch, 'safetensors': _open_safetensors}


@torch.no_grad()
def _run_module(module: Callable[[Tensor], tuple[Tensor, ...]], images: np.ndarray) -> list:
    return [output.numpy() for output in module(torch.from_numpy(images))]


# --- the check ----------------------------------------------------------------------------------


def check_outputs(
    deployable: Deployable,
    runner: Runner,
    metadata: dict[str, str],
    photos: Sequence[str | Path],
    sizes: Sequence[tuple[int, int]],
    tolerance: float,
) -> float:
    """Compare a file with the trained model, alone and in batches; return the difference.

    The trained model sees photos through its own test transforms; the file sees them as
    :mod:`~.deployed` prepares them by the metadata alone.

    Args:
        deployable: The model.
        runner: Runs the file.
        metadata: What the file says.
        photos: Image files.
        sizes: Further heights and widths to try with random images.
        tolerance: What is allowed, of the largest output (at least 1).

    Raises:
        ExportError: If an output differs by more.
    """
    worst = 0.0
    for what, given, seen in _check_batches(deployable, metadata, photos, sizes):
        expected = trained_outputs(deployable, given)
        try:
            found = runner(seen)
        except Exception as error:  # of onnxruntime or torch, of any kind
            reason = str(error).strip().splitlines()[0] if str(error).strip() else error
            raise ExportError(f'the file cannot be run on {what}: {reason}') from error
        difference = largest_difference(found, expected)
        if not difference <= tolerance:  # nor NaN
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
    """Yield what is compared: words, images for the trained model, images for the file."""
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
    """Return a photo as the trained model gets it, (1, C, H, W).

    Args:
        deployable: The model.
        photo: The file.
    """
    packed = deployable.trained.pipeline({'img_path': str(photo)})
    batch = {'inputs': [packed['inputs']], 'data_samples': [packed['data_samples']]}
    return deployable.trained.model.data_preprocessor(batch)['inputs']


@torch.no_grad()
def trained_outputs(deployable: Deployable, images: Tensor) -> list[np.ndarray]:
    """Return what the trained model itself gives for images.

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
        expected: Arrays of the same shapes; infinite is the difference of other shapes.

    >>> largest_difference([np.array([1.0, 21.0])], [np.array([1.0, 20.0])])
    0.05
    """
    if [a.shape for a in found] != [b.shape for b in expected]:
        return float('inf')
    return max(
        float(np.abs(a - b).max()) / max(1.0, float(np.abs(b).max()))
        for a, b in zip(found, expected, strict=True)
    )

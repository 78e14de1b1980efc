"""Write and open the file formats of an exported model."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..models.heads.drloc_weights import plain_state_dict
from ..weights.loading import SPARED, load_weights
from .deployable import TASKS, Deployable, Network

SUFFIXES = {'onnx': '.onnx', 'torch': '.pt2', 'safetensors': '.safetensors'}
METADATA_FILE = 'metadata.json'  # name among the extra files of torch.export

Runner = Callable[[np.ndarray], list[np.ndarray]]


def write_onnx(
    program: torch.export.ExportedProgram, metadata: dict[str, str], path: Path
) -> None:
    """Write an ONNX file; the metadata is in its ``metadata_props``.

    Args:
        program: The network.
        metadata: What a program must know to use the file.
        path: The file.
    """
    count = len(program.graph_signature.user_outputs)
    name = TASKS[metadata['task']]
    names = [name] if count == 1 else [f'{name}_{i}' for i in range(count)]
    onnx = torch.onnx.export(
        program, dynamo=True, input_names=['images'], output_names=names, verbose=False
    )
    for node in onnx.model.graph:  # the source locations contain paths of this machine
        node.metadata_props.clear()
    onnx.model.metadata_props.update(metadata)
    onnx.save(path)


def write_torch(
    program: torch.export.ExportedProgram, metadata: dict[str, str], path: Path
) -> None:
    """Write a file for ``torch.export.load``, with the metadata as an extra file in it.

    Args:
        program: The network.
        metadata: What a program must know to use the file.
        path: The file.
    """
    with path.open('wb') as file:  # a path would have to end in .pt2
        torch.export.save(program, file, extra_files={METADATA_FILE: json.dumps(metadata)})


def write_safetensors(deployable: Deployable, metadata: dict[str, str], path: Path) -> None:
    """Write the weights of the model, without those that only training needs.

    Args:
        deployable: The model.
        metadata: What a program must know to use the file.
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
    """Return a state dict without the weights that only training needs, such as those of DRLoc.

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
        parameter.data.zero_()  # each weight has to come from the file
    load_weights(model, weights, str(path))
    return partial(_run_module, Network(model, metadata['task'])), metadata


OPENERS = {'onnx': _open_onnx, 'torch': _open_torch, 'safetensors': _open_safetensors}


@torch.no_grad()
def _run_module(module: Callable[[Tensor], tuple[Tensor, ...]], images: np.ndarray) -> list:
    return [output.numpy() for output in module(torch.from_numpy(images))]

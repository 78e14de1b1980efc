"""Load the vision transformer in an ONNX file that was exported from transformers' DINOv2."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

EMBEDDINGS = 'backbone.embeddings.'
LAST_NORM = 'backbone.layernorm.'
LAYER = 'backbone.encoder.layer.{}.'
LINEARS = {'attn.proj': 'attention.output.dense', 'mlp.fc1': 'mlp.fc1', 'mlp.fc2': 'mlp.fc2'}
TOKENS = '/backbone/layernorm/Add_1_output_0'  # the output of the last norm


def read_graph(content: bytes) -> tuple[list[Any], dict[str, Tensor]]:
    """Return the nodes and the weights of an ONNX file.

    Args:
        content: The content of the file.
    """
    onnx = _import_onnx()
    graph = onnx.load_model_from_string(content).graph
    weights = {
        entry.name: torch.from_numpy(onnx.numpy_helper.to_array(entry).copy())
        for entry in graph.initializer
    }
    return list(graph.node), weights


def run_tokens(content: bytes, images: Tensor) -> Tensor:
    """Return the tokens after the last norm as ONNX Runtime computes them, (B, 1 + N, D).

    Args:
        content: The content of the file.
        images: Normalised images, shape (B, 3, H, W).
    """
    onnx = _import_onnx()
    try:
        import onnxruntime
    except ImportError as error:
        raise ImportError('The check runs the ONNX file: pip install onnxruntime') from error
    model = onnx.load_model_from_string(content)
    model.graph.output.append(onnx.helper.make_tensor_value_info(TOKENS, 1, None))
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=['CPUExecutionProvider']
    )
    (name,) = (entry.name for entry in session.get_inputs())
    return torch.from_numpy(session.run([TOKENS], {name: images.numpy()})[0])


def vit_weights(nodes: Iterable[Any], weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights of the transformer with timm's names, which `DeiT3ViT` loads.

    The exporter keeps the names of biases, norms and LayerScales, but numbers the matrices of
    linear layers. So a matrix is found by its bias, which is added to the product with the matrix.
    In DINOv2 the class token has a position; in `DeiT3ViT` it has none, so the two are added here.

    Args:
        nodes: The nodes of the graph, each with ``op_type``, ``input`` and ``output``.
        weights: The weights by name.

    Raises:
        ValueError: If the graph holds no such transformer; the message names what is missing.
    """
    try:
        return _convert(weights, _Matrices(nodes, weights))
    except KeyError as error:
        raise ValueError(
            f'The ONNX file has no weights {error}: it is no DINOv2 as transformers names it.'
        ) from None


def _convert(weights: Mapping[str, Tensor], matrix_of: _Matrices) -> dict[str, Tensor]:
    token = weights[f'{EMBEDDINGS}cls_token']
    width = token.shape[-1]
    found = {
        'cls_token': token + _position(weights, (1, 1, width), f'{EMBEDDINGS}cls_token'),
        'pos_embed': _position(weights, (1, None, width), f'{EMBEDDINGS}cls_token'),
    }
    for kind in ('weight', 'bias'):
        projection = f'{EMBEDDINGS}patch_embeddings.projection.{kind}'
        found[f'patch_embed.proj.{kind}'] = weights[projection]
        found[f'norm.{kind}'] = weights[f'{LAST_NORM}{kind}']
    depth = 0
    while f'{LAYER.format(depth)}norm1.weight' in weights:
        layer, target = LAYER.format(depth), f'blocks.{depth}.'
        biases = [f'{layer}attention.attention.{name}.bias' for name in ('query', 'key', 'value')]
        found[f'{target}attn.qkv.weight'] = torch.cat([matrix_of[bias] for bias in biases])
        found[f'{target}attn.qkv.bias'] = torch.cat([weights[bias] for bias in biases])
        for ours, theirs in LINEARS.items():
            bias = f'{layer}{theirs}.bias'
            found[f'{target}{ours}.weight'] = matrix_of[bias]
            found[f'{target}{ours}.bias'] = weights[bias]
        for number in (1, 2):
            found[f'{target}ls{number}.gamma'] = weights[f'{layer}layer_scale{number}.lambda1']
            for kind in ('weight', 'bias'):
                found[f'{target}norm{number}.{kind}'] = weights[f'{layer}norm{number}.{kind}']
        depth += 1
    return found


class _Matrices:
    """The matrix of a linear layer by the name of its bias, as (outputs, inputs)."""

    def __init__(self, nodes: Iterable[Any], weights: Mapping[str, Tensor]) -> None:
        nodes = list(nodes)
        self.weights = weights
        self.makers = {name: node for node in nodes for name in node.output}
        self.sums = {name: node for node in nodes if node.op_type == 'Add' for name in node.input}

    def __getitem__(self, bias: str) -> Tensor:
        (product,) = (name for name in self.sums[bias].input if name != bias)
        (matrix,) = (name for name in self.makers[product].input if name in self.weights)
        return self.weights[matrix].T.contiguous()


def _import_onnx() -> Any:
    try:
        import onnx
    except ImportError as error:
        raise ImportError('The ViT comes as an ONNX file: pip install onnx') from error
    return onnx


def _position(weights: Mapping[str, Tensor], shape: tuple[int | None, ...], but: str) -> Tensor:
    """Return the position embedding that has a shape; None means any length above 1."""
    for name, value in weights.items():
        pairs = zip(value.shape, shape, strict=False)
        fits = value.ndim == len(shape) and all(
            found > 1 if wanted is None else found == wanted for found, wanted in pairs
        )
        if fits and name != but:
            return value
    raise KeyError(f'of shape {shape} beside {but}')

"""The vision transformer within an ONNX file, as exported from a DINOv2 of transformers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto

EMBEDDINGS = 'backbone.embeddings.'
LAST_NORM = 'backbone.layernorm.'
LAYER = 'backbone.encoder.layer.{}.'
LINEARS = {'attn.proj': 'attention.output.dense', 'mlp.fc1': 'mlp.fc1', 'mlp.fc2': 'mlp.fc2'}


def vit_weights(model: ModelProto) -> dict[str, Tensor]:
    """Return the weights of the transformer under the names of timm, which `DeiT3ViT` loads.

    The exporter keeps the names of biases, norms and LayerScales, and numbers the matrices of
    linear layers: a matrix is found as the one whose product its bias is added to. In DINOv2 the
    class token has a position; in `DeiT3ViT` it has none, so both are added here.

    Args:
        model: The ONNX model.

    Raises:
        ValueError: If it holds no such transformer; the message names what is missing.
    """
    weights = _initializers(model.graph)
    try:
        return _convert(weights, _Matrices(model.graph, weights))
    except KeyError as error:
        raise ValueError(
            f'The ONNX file has no weights {error}: it is no DINOv2 as transformers names it.'
        ) from None


def _convert(weights: dict[str, Tensor], matrix_of: _Matrices) -> dict[str, Tensor]:
    token = weights[f'{EMBEDDINGS}cls_token']
    width = token.shape[-1]
    found = {
        'cls_token': token + _only(weights, (1, 1, width), f'{EMBEDDINGS}cls_token'),
        'pos_embed': _only(weights, (1, None, width), f'{EMBEDDINGS}cls_token'),
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

    def __init__(self, graph: GraphProto, weights: dict[str, Tensor]) -> None:
        self.weights = weights
        self.makers = {name: node for node in graph.node for name in node.output}
        self.sums = {
            name: node for node in graph.node if node.op_type == 'Add' for name in node.input
        }

    def __getitem__(self, bias: str) -> Tensor:
        (product,) = (name for name in self.sums[bias].input if name != bias)
        (matrix,) = (name for name in self.makers[product].input if name in self.weights)
        return self.weights[matrix].T.contiguous()


def _initializers(graph: GraphProto) -> dict[str, Tensor]:
    from onnx import numpy_helper

    return {
        entry.name: torch.from_numpy(numpy_helper.to_array(entry).copy())
        for entry in graph.initializer
    }


def _only(weights: dict[str, Tensor], shape: Sequence[int | None], but: str) -> Tensor:
    """Return the one position embedding of a shape, None of which is any length above 1."""
    for name, value in weights.items():
        pairs = zip(value.shape, shape, strict=False)
        fits = value.ndim == len(shape) and all(
            found > 1 if wanted is None else found == wanted for found, wanted in pairs
        )
        if fits and name != but:
            return value
    raise KeyError(f'of shape {tuple(shape)} beside {but}')

from types import SimpleNamespace

import pytest
import torch

from vit_plugins.models.backbones.deit3_vit import DeiT3ViT
from vit_plugins.studies.frozen.onnx_vit import vit_weights

ARCH = {'embed_dims': 8, 'num_layers': 2, 'num_heads': 2, 'feedforward_channels': 16}
EMBED = 'backbone.embeddings.'


def node(op_type, inputs, output):
    return SimpleNamespace(op_type=op_type, input=inputs, output=[output])


@pytest.fixture
def exported():
    """Return nodes and weights of an exported model, and the weights under timm's names."""
    gen = torch.Generator().manual_seed(0)

    def draw(*shape):
        return torch.randn(shape, generator=gen)

    weights = {f'{EMBED}cls_token': draw(1, 1, 8), 'onnx::Concat_1': draw(1, 1, 8)}
    weights |= {'onnx::Reshape_2': draw(1, 9, 8)}
    wanted = {
        'cls_token': weights[f'{EMBED}cls_token'] + weights['onnx::Concat_1'],
        'pos_embed': weights['onnx::Reshape_2'],
    }
    nodes = []

    def keep(theirs, ours, *shape):
        wanted[ours] = weights[theirs] = draw(*shape)

    def keep_linear(theirs, outputs, inputs):
        matrix, bias = draw(outputs, inputs), draw(outputs)
        number = len(weights)
        weights[f'onnx::MatMul_{number}'] = matrix.T.contiguous()
        weights[f'{theirs}.bias'] = bias
        nodes.append(node('MatMul', ['x', f'onnx::MatMul_{number}'], f'product{number}'))
        order = [f'product{number}', f'{theirs}.bias'][:: -1 if number % 2 else 1]
        nodes.append(node('Add', order, f'sum{number}'))
        return matrix, bias

    for kind, shape in (('weight', (8, 3, 2, 2)), ('bias', (8,))):
        ours = f'patch_embed.proj.{kind}'
        keep(f'{EMBED}patch_embeddings.projection.{kind}', ours, *shape)
        keep(f'backbone.layernorm.{kind}', f'norm.{kind}', 8)
    for i in range(2):
        layer, block = f'backbone.encoder.layer.{i}.', f'blocks.{i}.'
        # the exporter computes keys first
        parts = {n: keep_linear(f'{layer}attention.attention.{n}', 8, 8) for n in KEY_FIRST}
        for place, kind in enumerate(('weight', 'bias')):
            ordered = [parts[n][place] for n in ('query', 'key', 'value')]
            wanted[f'{block}attn.qkv.{kind}'] = torch.cat(ordered)
        for ours, theirs, size in (
            ('attn.proj', 'attention.output.dense', (8, 8)),
            ('mlp.fc1', 'mlp.fc1', (16, 8)),
            ('mlp.fc2', 'mlp.fc2', (8, 16)),
        ):
            found = keep_linear(f'{layer}{theirs}', *size)
            wanted[f'{block}{ours}.weight'], wanted[f'{block}{ours}.bias'] = found
        for n in (1, 2):
            keep(f'{layer}layer_scale{n}.lambda1', f'{block}ls{n}.gamma', 8)
            for kind in ('weight', 'bias'):
                keep(f'{layer}norm{n}.{kind}', f'{block}norm{n}.{kind}', 8)
    return nodes, weights, wanted


KEY_FIRST = ('key', 'value', 'query')


def test_every_weight_comes_under_its_name_and_fits(exported):
    nodes, weights, wanted = exported
    found = vit_weights(nodes, weights)
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        assert torch.equal(found[name], value), name
    DeiT3ViT(ARCH, img_size=6, patch_size=2).load_state_dict(found)  # strict


def test_another_file_is_refused_with_what_is_missing(exported):
    nodes, weights, _ = exported
    with pytest.raises(ValueError, match=r"no weights 'backbone\.embeddings\.cls_token'"):
        vit_weights(nodes, {'conv1.weight': torch.zeros(3)})
    del weights['onnx::Reshape_2']
    with pytest.raises(ValueError, match=r'of shape \(1, None, 8\)'):
        vit_weights(nodes, weights)

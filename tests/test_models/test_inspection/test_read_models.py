"""Gates, locality, offsets, positions and filters of models."""

import numpy as np
import pytest
import torch
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample
from small_backbones import classifier, small

from vit_plugins.models.inspection.attention_maps import NothingToReadError
from vit_plugins.models.inspection.embedding_weights import patch_filters, position_embeddings
from vit_plugins.models.inspection.gates import read_gates
from vit_plugins.models.inspection.locality import measure_locality
from vit_plugins.models.inspection.offsets import predict_offsets
from vit_plugins.models.losses.drloc_formulas import offsets_of_targets, relative_targets
from vit_plugins.models.losses.drloc_loss import DRLocLoss

RESNET = dict(type='ResNet', depth=18, base_channels=4, stem_channels=4)
ARCH = dict(embed_dims=36, num_layers=2, num_heads=9, feedforward_channels=36)


@pytest.fixture(scope='module')
def convit():
    """Build a new ConViT on the paper's grid of 14 x 14, with one layer of each type."""
    model = MODELS.build(dict(type='ConViT', arch=ARCH, num_local_layers=1, patch_size=4,
                              img_size=56))  # fmt: skip
    model.init_weights()
    return model


@pytest.mark.parametrize('mode', ['official', 'propagated'])
def test_a_fresh_convit_has_the_values_of_the_specification(convit, mode):
    found = measure_locality(convit, torch.randn(2, 3, 56, 56), mode)
    means = [heads.mean() for heads in found.nonlocality]
    assert means[0] == pytest.approx(2.8809, abs=5e-4)
    assert means[1] == pytest.approx(7.2808, abs=0.02)  # SA: random queries and keys
    assert found.uniform == pytest.approx((7.280764, 7.280764), abs=1e-6)
    np.testing.assert_allclose(found.pixels[0], 4 * found.nonlocality[0], rtol=1e-5)
    assert (found.mode, found.layers) == (mode, ('layers.0.attn', 'layers.1.attn'))


def test_pixels_are_those_of_the_patches_of_an_image_that_is_no_square(convit):
    found = measure_locality(convit, torch.randn(1, 3, 28, 56))
    for patches, pixels in zip(found.nonlocality, found.pixels, strict=True):
        np.testing.assert_allclose(pixels, 4 * patches, rtol=1e-5)


def test_modes_are_measured_differently_and_named(convit):
    model = small('ConViT')
    for layer in model.layers:
        getattr(layer.attn, 'qk', getattr(layer.attn, 'qkv', None)).weight.data.normal_()
    x = torch.randn(1, 3, 32, 32)
    official, propagated = (measure_locality(model, x, m) for m in ('official', 'propagated'))
    assert not np.allclose(official.nonlocality[0], propagated.nonlocality[0], atol=1e-4)
    with pytest.raises(ValueError, match="mode must be one of propagated, official, got 'both'"):
        measure_locality(model, x, 'both')


def test_gates_centres_and_strengths_of_all_layers():
    model = classifier('ConViT')
    model.backbone.layers[1].attn.gating_param.data = torch.tensor([-9.0, 0, 0, 9])
    found = read_gates(model)
    assert found.layers == ('layers.0.attn', 'layers.1.attn')
    assert found.gates[1].tolist() == pytest.approx([0, 0.5, 0.5, 1], abs=2e-4)
    assert found.centres.shape == (2, 4, 2)
    assert np.abs(found.centres).tolist() == np.full((2, 4, 2), 0.5).tolist()


@pytest.mark.parametrize(
    ('model', 'words'),
    [
        (dict(type='ConViT', arch=ARCH, num_local_layers=0), 'num_local_layers is 0'),
        (dict(type='ConViT', arch=ARCH, num_local_layers=1, gpsa_mode='psa'), "gpsa_mode='psa'"),
        (RESNET, 'ResNet has no gates: ConViT has'),
    ],
)
def test_models_without_gates_are_told_which_have_them(model, words):
    with pytest.raises(NothingToReadError, match=words):
        read_gates(MODELS.build(model))


# --- offsets ------------------------------------------------------------------------------------


def localizing(**settings):
    model = dict(
        type='ImageClassifier',
        backbone=dict(type='ConViT', arch=ARCH, num_local_layers=1, img_size=16, patch_size=4,
                      out_type='raw'),
        head=dict(type='DRLocHead', in_channels=36, patch_size=4, hidden_dims=(8, 8), **settings,
                  head=dict(type='VisionTransformerClsHead', num_classes=3, in_channels=36)),
    )  # fmt: skip
    return MODELS.build(model)


def samples(number, size=(16, 16)):
    return [DataSample(metainfo=dict(img_shape=size)) for _ in range(number)]


def test_predicted_offsets_are_those_of_the_loss():
    model = localizing()
    x, state = torch.randn(2, 3, 16, 24), torch.get_rng_state()
    found = predict_offsets(model, x, samples(2, (16, 24)), num_pairs=5)
    assert torch.equal(torch.get_rng_state(), state)
    assert (found.grid, found.signed, found.true.shape) == ((4, 6), False, (10, 2))
    drloc, grid = model.head.drloc, torch.randn(2, 36, 4, 6)
    pairs = torch.randint(24, (2, 5, 2))
    predicted, true = drloc.predict(grid, pairs)
    in_sides = (predicted - true).abs() / torch.tensor([4, 6])
    torch.testing.assert_close(in_sides.sum(1).mean(), drloc.unweighted(grid, pairs))


@pytest.mark.parametrize('preset', ['paper', 'official'])
@pytest.mark.parametrize('signed', [True, False])
def test_targets_lead_back_to_offsets(preset, signed):
    offsets = torch.randint(-3, 4, (20, 2))
    targets = relative_targets(offsets, 4, 5, preset, signed)
    found = offsets_of_targets(targets, 4, 5, preset, signed)
    torch.testing.assert_close(found, (offsets if signed else offsets.abs()).float())


@pytest.mark.parametrize('mode', ['ce', 'reg'])
@pytest.mark.parametrize('preset', ['paper', 'official'])
def test_classes_lead_back_to_offsets(mode, preset):
    drloc = DRLocLoss(4, preset=preset, mode=mode, grid_size=3, hidden_dims=(4,))
    classes = len(drloc.outputs[0].bias)
    for output in drloc.outputs:  # sure of one class, whatever the tokens are
        output.weight.data.zero_()
        output.bias.data = torch.full((classes,), -50.0)
        output.bias.data[-1] = 50
    predicted, true = drloc.predict(torch.randn(1, 4, 3, 3), torch.tensor([[[8, 0]]]))
    assert true.tolist() == [[2, 2]]
    highest = {'paper': 3, 'official': 2}[preset]  # 2k + 1 classes, of which ±k never occur
    torch.testing.assert_close(predicted, torch.full((1, 2), float(highest)))


def test_models_without_a_drloc_head_are_told_which_have_one():
    with pytest.raises(
        NothingToReadError, match=r'VisionTransformerClsHead: offsets are.*DRLocHead'
    ):
        predict_offsets(classifier('ConViT'), torch.randn(1, 3, 32, 32), samples(1))


# --- positions and filters ----------------------------------------------------------------------


@pytest.mark.parametrize('name', ['ConViT', 'DeiT3ViT', 'HybridViT', 'PosEmbedViT'])
def test_position_embeddings_are_those_of_the_patches(name):
    model = small(name)
    model.init_weights()
    embed, grid = position_embeddings(model)
    assert grid == (4, 4)
    assert embed.shape == (16, 32)
    if name == 'HybridViT':  # the class token has a position, too
        assert torch.equal(embed, model.pos_embed[0, 1:])
    if name == 'PosEmbedViT':  # rows and columns are concatenated
        assert torch.equal(embed[5], torch.cat((model.pos_embed_cols[0, 1],
                                                model.pos_embed_rows[0, 1])))  # fmt: skip


def test_models_without_positions_or_filters_are_told_which_have_them():
    with pytest.raises(NothingToReadError, match='CvT has no learnt position embedding: ConViT'):
        position_embeddings(small('CvT'))
    with pytest.raises(
        NothingToReadError, match='T2TViTPerformer does not embed pixels by a conv'
    ):
        patch_filters(small('T2TViTPerformer'))
    name, weight = patch_filters(small('ConViT'))
    assert (name, weight.shape) == ('patch_embed.projection', (32, 3, 8, 8))
    assert patch_filters(small('CvT'))[0] == 'stage0.patch_embed.proj'
    name, weight = patch_filters(small('HybridViT'))  # the root of its ResNet
    assert (name.split('.')[:2], weight.shape[1:]) == (['patch_embed', 'stem'], (3, 7, 7))

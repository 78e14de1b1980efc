"""Looks at models: each type on a ConViT, each type on each backbone, and the messages."""

import numpy as np
import pytest
import torch
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample
from PIL import Image
from small_backbones import SETTINGS, classifier
from torch import nn

from vit_plugins.evaluation.functional.attention_rollout import attention_rollout
from vit_plugins.inference.gate_pruning import prune_gates
from vit_plugins.inference.inside import model_looks, photo_looks
from vit_plugins.inference.inside.grad_cam import cam_layers, grad_cam
from vit_plugins.inference.inside.look import Question
from vit_plugins.inference.inside.shown_photo import ShownPhoto, pixels_of, stack_inputs
from vit_plugins.models.inspection.attention_maps import NothingToReadError, read_attention

OF_MODEL = ('gates', 'nonlocality', 'offsets', 'positions', 'filters', 'embedding')
OF_PHOTO = ('attention', 'rollout', 'cam')
LACKED = {  # what a backbone has not
    'ConViT': (),
    'CvT': ('gates', 'positions', 'rollout'),
    'DeiT3ViT': ('gates',),
    'HybridViT': ('gates',),
    'PosEmbedViT': ('gates',),
    'T2TViTPerformer': ('gates', 'filters'),
    'Swin': ('gates', 'positions', 'rollout'),
    'ResNet': ('gates', 'nonlocality', 'positions', 'attention', 'rollout'),
}
LINEAR = dict(type='LinearClsHead', num_classes=3)
OTHERS = {
    'Swin': dict(
        type='ImageClassifier',
        backbone=dict(
            type='SwinTransformer', window_size=2, img_size=32, pad_small_map=True,
            arch=dict(embed_dims=8, depths=[2, 2, 2, 2], num_heads=[1, 2, 2, 2])),
        neck=dict(type='GlobalAveragePooling'), head=dict(in_channels=64, **LINEAR)),
    'ResNet': dict(
        type='ImageClassifier',
        backbone=dict(type='ResNet', depth=18, base_channels=4, stem_channels=4),
        neck=dict(type='GlobalAveragePooling'), head=dict(in_channels=32, **LINEAR)),
}  # fmt: skip


def build(name):
    return MODELS.build(OTHERS[name]) if name in OTHERS else classifier(name)


def localizing():
    backbone = dict(type='ConViT', **SETTINGS['ConViT'], out_type='raw')
    inner = dict(type='VisionTransformerClsHead', num_classes=3, in_channels=32)
    head = dict(type='DRLocHead', in_channels=32, patch_size=8, hidden_dims=(8,), head=inner)
    return MODELS.build(dict(type='ImageClassifier', backbone=backbone, head=head))


def photos(number=1, size=32):
    pixels = np.zeros((size, size, 3), np.uint8)
    meta = dict(img_shape=(size, size))
    return [
        ShownPhoto(f'class{n % 2}/{n}.png', torch.randn(1, 3, size, size),
                   DataSample(metainfo=meta), pixels)
        for n in range(number)
    ]  # fmt: skip


def look(what, model, shown, question=Question()):  # noqa: B008
    if what in OF_MODEL:
        return getattr(model_looks, f'look_at_{what}')(model, shown, question)
    return getattr(photo_looks, f'look_at_{what}')(model, shown[0], question)


@pytest.fixture(scope='module')
def convit():
    return classifier('ConViT').eval()


def test_attention_is_the_row_of_the_query(convit):
    (photo,) = photos()
    layers = read_attention(convit, photo.inputs)
    found = look('attention', convit, [photo], Question(query=(1, 2)))
    for layer in layers:
        expected = layer.of_query(1, 2)[0]
        np.testing.assert_allclose(found.arrays[layer.name], expected, rtol=1e-5)
    assert found.arrays['layers.0.attn.gates'].tolist() == pytest.approx([0.7310586] * 4)
    assert '62% of the width, 38% of the height' in found.words
    one = look('attention', convit, [photo], Question(layer=3, head=2))
    assert {k: v.shape for k, v in one.arrays.items()} == {'layers.2.attn': (1, 4, 4)}
    of_class = look('attention', convit, [photo], Question(query='class'))
    assert set(of_class.arrays) == {'layers.2.attn', 'layers.3.attn'}  # where it has joined


def test_rollout_is_the_row_of_the_class_token(convit):
    (photo,) = photos()
    layers = read_attention(convit, photo.inputs)
    expected = attention_rollout([layer.values for layer in layers])[0, 0, 1:]
    found = look('rollout', convit, [photo])
    np.testing.assert_allclose(found.arrays['rollout'].flatten(), expected, rtol=1e-5)
    before = look('rollout', convit, [photo], Question(layer=2))  # the class token has not joined
    expected = attention_rollout([layer.values for layer in layers[:2]])[0].mean(0)
    np.testing.assert_allclose(before.arrays['rollout'].flatten(), expected, rtol=1e-5)


def test_rollout_of_a_patch_is_its_row(convit):
    (photo,) = photos()
    layers = read_attention(convit, photo.inputs)
    width = layers[-1].grid[1]
    expected = attention_rollout([layer.values for layer in layers])[0, 1 + width + 2, 1:]
    found = look('rollout', convit, [photo], Question(query=(1, 2)))
    np.testing.assert_allclose(found.arrays['rollout'].flatten(), expected, rtol=1e-5)
    assert 'patch in row 1, column 2' in found.words
    with pytest.raises(ValueError, match=r'--query 9,0: the patches are'):
        look('rollout', convit, [photo], Question(query=(9, 0)))
    with pytest.raises(NothingToReadError, match='no class token up to this layer'):
        look('rollout', convit, [photo], Question(layer=2, query='class'))


def slow_grad_cam(model, image, module, target, extra, grid):
    """Compute Eq. 1 and 2 of Selvaraju et al. by autograd alone."""
    kept = []
    handle = module.register_forward_hook(lambda m, args, output: kept.append(output))
    score = model(image, mode='tensor')[0, target]
    handle.remove()
    (gradient,) = torch.autograd.grad(score, kept[0])
    activation = kept[0][0, extra:].detach()  # (N, D)
    weights = gradient[0, extra:].mean(0)
    return (activation @ weights).clamp(min=0).view(grid)


def test_grad_cam_is_that_of_autograd(convit):
    pytest.importorskip('captum')
    (photo,) = photos()
    for layer in cam_layers(convit, photo.inputs):
        module = convit.backbone.get_submodule(layer.name)
        assert module is layer.module
        found, target = grad_cam(convit, photo.inputs, layer, 2)
        expected = slow_grad_cam(
            convit, photo.inputs, module, target, layer.num_extra_tokens, (4, 4)
        )
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-8)
    named = int(convit(photo.inputs, mode='tensor').argmax())
    assert grad_cam(convit, photo.inputs, layer)[1] == named
    assert not layer.module._forward_hooks
    with pytest.raises(ValueError, match='there is no class 10: the model has classes 0 to 9'):
        grad_cam(convit, photo.inputs, layer, 10)


def test_offsets_and_embedding(convit):
    found = look('offsets', localizing(), photos(2))
    expected = np.abs(found.arrays['predicted'] - found.arrays['true']).mean(0)
    np.testing.assert_allclose(found.arrays['error'], expected, rtol=1e-5)
    with pytest.raises(ValueError, match='five photos or more, got 2'):
        look('embedding', convit, photos(2))


def test_what_is_not_there_is_told(convit):
    for question, words in (
        (Question(layer=5), 'there is no layer 5: layers are counted from 1 to 4'),
        (Question(head=0), 'there is no head 0: heads are counted from 1 to 4'),
        (Question(query=(4, 0)), 'no patch in row 4, column 0: the grid has rows 0 to 3'),
        (Question(layer=1, query='class'), 'no class token attends in these layers'),
    ):
        with pytest.raises(ValueError, match=words):
            look('attention', convit, photos(), question)
    sizes = [*photos(1), *photos(1, size=16)]
    with pytest.raises(ValueError, match=r'several sizes, such as \(16, 16\) and \(32, 32\)'):
        stack_inputs(sizes)
    retriever = MODELS.build(dict(type='EmbeddingRetriever', backbone=dict(
        type='ConViT', **SETTINGS['ConViT'])))  # fmt: skip
    with pytest.raises(NothingToReadError, match='EmbeddingRetriever has no scores of classes'):
        cam_layers(retriever, photos()[0].inputs)


def test_pixels_are_those_before_the_normalisation():
    settings = dict(mean=[100, 110, 120], std=[50, 60, 70], to_rgb=True)
    model = MODELS.build(dict(type='ImageClassifier', data_preprocessor=settings, backbone=dict(
        type='ResNet', depth=18, base_channels=4, stem_channels=4)))  # fmt: skip
    bgr = torch.randint(0, 256, (3, 5, 7)).to(torch.uint8)
    inputs = model.data_preprocessor(dict(inputs=[bgr]))['inputs']
    rgb = bgr.flip(0).permute(1, 2, 0).numpy()
    np.testing.assert_array_equal(pixels_of(model, inputs), rgb)
    Image.fromarray(pixels_of(model, inputs))


def test_gates_of_a_model_are_pruned_in_place():
    model = classifier('ConViT').eval()
    for layer in model.backbone.layers[:2]:
        layer.attn.gating_param.data = torch.tensor([100.0, -100, 0, 100])
    images = torch.randn(1, 3, 32, 32)
    with torch.no_grad():
        before = model(images, mode='tensor')
        found = prune_gates(model, 0.01)
        torch.testing.assert_close(model(images, mode='tensor'), before, atol=1e-5, rtol=1e-4)
    assert [(h.layer, h.content, h.both, h.position) for h in found] == [
        ('layers.0.attn', 1, 1, 2), ('layers.1.attn', 1, 1, 2)]  # fmt: skip
    assert not model.backbone.layers[0].attn.training
    with pytest.raises(NothingToReadError, match='has no gates'):
        prune_gates(nn.Sequential())


@pytest.mark.slow  # a figure of many panels takes a while
@pytest.mark.parametrize('name', LACKED)
def test_each_kind_on_each_backbone(name, tmp_path):
    pytest.importorskip('captum')
    model = build(name).eval()
    if name == 'ConViT':
        model = localizing().eval()
    shown = photos(6, 64 if name in ('CvT', 'Swin', 'ResNet') else 32)
    for what in (*OF_MODEL, *OF_PHOTO):
        if what in LACKED[name] or (what == 'offsets' and name != 'ConViT'):
            with pytest.raises(NothingToReadError, match=r'have?\b|do\b|alone|ConViT'):
                look(what, model, shown)
            continue
        found = look(what, model, shown)
        found.figure.savefig(tmp_path / f'{what}.png')
        assert found.words
        assert all(
            np.isfinite(array).all()
            for key, array in found.arrays.items()
            if array.dtype.kind == 'f' and key not in ('nonlocality', 'pixels')  # padded
        )

"""The deployed model gives the predictions of the model, and its metadata describe it."""

import json

import pytest
import torch
from mmengine.config import Config
from mmpretrain.registry import MODELS

from vit_plugins.inference.deployable import Network, load_deployable, task_of

ARCH = dict(embed_dims=16, num_layers=2, num_heads=4, feedforward_channels=16)
CONVIT = dict(
    type='ConViT', arch=ARCH, img_size=16, patch_size=8, num_local_layers=1, out_type='raw'
)
HEAD = dict(type='VisionTransformerClsHead', num_classes=3, in_channels=16)
DRLOC = dict(type='DRLocHead', in_channels=16, patch_size=8, head=HEAD)
CLASSIFIERS = {
    'softmax': (CONVIT | dict(out_type='cls_token'), HEAD | dict(type='LinearClsHead')),
    'drloc': (CONVIT, DRLOC),
    'drloc sigmoid': (CONVIT, DRLOC | dict(head=HEAD | dict(type='VisionTransformerBCEHead'))),
}
PCA = dict(type='PCAProjection', in_dims=16, out_dims=4)
RETRIEVER = dict(
    type='EmbeddingRetriever',
    backbone=CONVIT,
    neck=dict(type='TokenPooling', mode='avg'),
    pca=PCA,
)


def build(cfg):
    return MODELS.build(cfg).eval()


def classifier(name):
    backbone, head = CLASSIFIERS[name]
    return build(dict(type='ImageClassifier', backbone=backbone, head=head))


@torch.no_grad()
@pytest.mark.parametrize('name', CLASSIFIERS)
def test_scores_are_those_of_predict(name):
    model, images = classifier(name), torch.randn(3, 3, 16, 16)
    (scores,) = Network(model, 'classify')(images)
    expected = torch.stack([sample.pred_score for sample in model.predict(images)])
    torch.testing.assert_close(scores, expected)
    assert task_of(model) == 'classify'


def test_the_localization_mlp_vanishes_and_the_model_keeps_its_own():
    model = classifier('drloc')
    names = [name for name, _ in Network(model, 'classify').named_parameters()]
    assert not [name for name in names if 'drloc' in name]
    assert [name for name, _ in model.named_parameters() if name.startswith('head.drloc.')]


@pytest.mark.skipif(
    torch.__version__.startswith('2.1.'),
    reason='torch 2.1 has no convolution of half precision on a CPU',
)
@torch.no_grad()
def test_descriptors_are_projected_and_of_length_one():
    model, images = build(RETRIEVER), torch.randn(3, 3, 16, 16)
    model.pca.fit(torch.randn(32, 16))
    (found,) = Network(model, 'embed')(images)
    torch.testing.assert_close(found, model.descriptors(images))
    assert found.shape == (3, 4)
    half = Network(model, 'embed', half=True)
    assert half.projection.dtype == torch.float32
    torch.testing.assert_close(half(images)[0], found, atol=1e-2, rtol=0)
    assert half(images)[0].dtype == torch.float32


def test_a_pca_that_was_not_fitted_is_refused():
    with pytest.raises(ValueError, match=r'PCA of this model has not been fitted.*FitPCAHook'):
        Network(build(RETRIEVER), 'embed')


@torch.no_grad()
def test_features_are_maps_and_the_model_keeps_its_output():
    model = classifier('drloc')
    (found,) = Network(model, 'features')(torch.randn(2, 3, 16, 24))
    assert found.shape == (2, 16, 2, 3)
    assert model.backbone.out_type == 'raw'


def test_a_model_of_another_kind_is_refused():
    model = build(dict(type='ImageToImageRetriever', image_encoder=[CONVIT], prototype='x'))
    with pytest.raises(ValueError, match=r'neither an ImageClassifier nor.*--features'):
        task_of(model)


def saved(tmp_path, cfg):
    model = MODELS.build({**cfg.model, 'data_preprocessor': cfg.data_preprocessor})
    meta = {'dataset_meta': {'classes': tuple('abcdefghij')}}
    torch.save({'state_dict': model.state_dict(), 'meta': meta}, tmp_path / 'epoch_1.pth')
    return tmp_path / 'epoch_1.pth'


def test_metadata_says_all_that_a_program_needs(tmp_path, config):
    cfg = config()
    metadata = load_deployable(cfg, saved(tmp_path, cfg)).metadata
    assert {key: json.loads(metadata[key]) for key in ('size', 'mean', 'std', 'classes')} == {
        'size': [16, 16],
        'mean': [100.0] * 3,
        'std': [50.0] * 3,
        'classes': list('abcdefghij'),
    }
    how = {'backend': 'cv2', 'interpolation': 'bilinear'}
    assert json.loads(metadata['resize']) == [{'step': 'resize', 'width': 16, 'height': 16, **how}]
    assert (metadata['task'], metadata['channel_order']) == ('classify', 'rgb')
    assert (metadata['half'], metadata['dynamic_size']) == ('false', 'false')


def test_photos_of_several_sizes_need_a_free_size(tmp_path, config):
    cfg = Config(config().to_dict())
    edge = dict(type='ResizeEdge', scale=16, backend='pillow')
    cfg.test_dataloader.dataset.pipeline[0] = edge
    file = saved(tmp_path, cfg)
    with pytest.raises(ValueError, match='several sizes: export with --dynamic-size'):
        load_deployable(cfg, file)
    assert load_deployable(cfg, file, dynamic_size=True).size == (16, 16)


def test_padding_of_the_preprocessor_is_refused(tmp_path, config):
    cfg = config()
    cfg.data_preprocessor.pad_size_divisor = 32
    with pytest.raises(ValueError, match='pad_size_divisor=32 pads the images'):
        load_deployable(cfg, saved(tmp_path, cfg))

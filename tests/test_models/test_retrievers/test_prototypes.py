"""The host's retrieval inferencer on one of our recipes."""

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmpretrain import ImageRetrievalInferencer
from mmpretrain.registry import MODELS
from PIL import Image

from vit_plugins.inference.photos import load_for_photos, run_on_photos
from vit_plugins.models.retrievers.prototypes import encode_prototypes

RECIPE = dict(
    default_scope='mmpretrain',
    model=dict(
        type='EmbeddingRetriever',
        backbone=dict(
            type='VisionTransformer',
            img_size=16,
            patch_size=8,
            arch=dict(embed_dims=32, num_layers=1, num_heads=2, feedforward_channels=32),
        ),
        neck=dict(type='TokenPooling', mode='cls'),
    ),
    data_preprocessor=dict(
        type='StackedDataPreprocessor', mean=[127] * 3, std=[60] * 3, to_rgb=True
    ),
    test_dataloader=dict(
        dataset=dict(
            type='RetrievalFolder',
            data_root='/gone',
            pipeline=[
                dict(type='LoadImageFromFile'),
                dict(type='Resize', scale=(16, 16)),
                dict(type='PackInputs', meta_keys=('sample_idx', 'img_path')),
            ],
        )
    ),
)


@pytest.fixture
def recipe(tmp_path):
    cfg = Config(RECIPE)
    weights = tmp_path / 'epoch_1.pth'
    torch.save({'state_dict': MODELS.build(cfg.model).state_dict(), 'meta': {}}, weights)
    return cfg, str(weights)


@pytest.fixture
def photos(tmp_path):
    rng = np.random.default_rng(0)
    files = [tmp_path / 'photos' / f'{i}.png' for i in range(11)]
    files[0].parent.mkdir()
    for file in files:
        Image.fromarray(rng.integers(0, 255, (16, 16, 3), np.uint8)).save(file)
    return [str(file) for file in files]


def test_inferencer_finds_what_our_search_finds(recipe, photos, tmp_path):
    cfg, weights = recipe
    cache = str(tmp_path / 'gallery.pth')
    inferencer = ImageRetrievalInferencer(
        cfg, str(tmp_path / 'photos'), prototype_cache=cache, pretrained=weights, device='cpu'
    )
    trained = load_for_photos(cfg, weights, 'cpu')
    answers = run_on_photos(trained, photos, title='', progress=False)
    ours = torch.stack([answer.embedding for _, answer in answers])
    names = [inferencer.prototype_dataset.get_data_info(i)['img_path'] for i in range(len(photos))]
    expected = ours @ ours[[photos.index(name) for name in names]].T  # (11, 11)

    for query, found in enumerate(inferencer(photos, topk=3, batch_size=4)):
        scores, places = expected[query].topk(3)
        assert [match['sample_idx'] for match in found] == places.tolist()
        assert found[0]['sample']['img_path'] == photos[query]
        torch.testing.assert_close(torch.stack([m['match_score'] for m in found]), scores)

    again = ImageRetrievalInferencer(cfg, photos, prototype_cache=cache, pretrained=weights)
    assert torch.equal(again.model.prototype_vecs, inferencer.model.prototype_vecs)
    assert 'prototype_vecs' not in inferencer.model.state_dict()
    (sample,) = inferencer(photos[2], return_datasamples=True)
    torch.testing.assert_close(sample.pred_score, expected[2])
    assert torch.equal(sample.pred_label, expected[2].argsort(descending=True))


def test_without_images_to_be_found(recipe):
    model = MODELS.build(recipe[0].model)
    with pytest.raises(ValueError, match=r'no images to be found yet.*tools/retrieve\.py'):
        model.prepare_prototype()


def test_images_need_a_number(recipe, photos):
    cfg, weights = recipe
    cfg.test_dataloader.dataset.pipeline[-1].meta_keys = ('img_path',)
    with pytest.raises(ValueError, match="add 'sample_idx' to the meta_keys of PackInputs"):
        ImageRetrievalInferencer(cfg, photos, pretrained=weights, device='cpu')


def test_descriptors_are_taken_as_they_are(recipe):
    vectors = torch.rand(3, 4)
    assert torch.equal(encode_prototypes(MODELS.build(recipe[0].model), vectors), vectors)

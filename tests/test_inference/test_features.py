"""Features of a split: those of the model, in order, one vector for each image."""

import pytest
import torch

from vit_plugins.inference.features import encode, pool, read_split
from vit_plugins.inference.loading import load_trained


def test_features_are_those_of_the_model_in_order(config):
    cfg = config()
    model = load_trained(cfg, None, 'cpu')[0]
    features, labels = encode(model, read_split(cfg, 'train')).labelled
    assert features.shape == (179, 32)
    loader = read_split(cfg, 'train')
    dataset = loader.dataset
    assert labels.tolist() == dataset.get_gt_labels().tolist()
    assert [type(step).__name__ for step in dataset.pipeline.transforms] == [
        'Resize',
        'PackInputs',
    ]  # not the training's flip
    image = dataset[150]['inputs'][None].float()
    with torch.no_grad():
        expected = model.backbone((image - 100) / 50)[-1]
    torch.testing.assert_close(features[150:151], expected)


def test_each_rank_reads_all_images_and_waits_for_none(config, monkeypatch):
    monkeypatch.setattr('mmengine.dataset.sampler.get_dist_info', lambda: (0, 2))
    monkeypatch.setattr('mmengine.dataset.sampler.sync_random_seed', None)  # a call would fail
    assert list(read_split(config(), 'train').sampler) == list(range(179))


def test_validation_images_stand_in_for_those_of_a_test(config):
    cfg = config()
    cfg.val_dataloader, cfg.test_dataloader = cfg.test_dataloader, None
    found = read_split(cfg, 'test').dataset
    assert len(found) == len(read_split(config(), 'test').dataset)
    assert cfg.test_dataloader is None


def test_raw_tokens_of_drloc_give_the_features_of_the_plain_model(config):
    plain, drloc = config(), config()
    drloc.model.backbone.out_type = 'raw'
    drloc.model.head = dict(type='DRLocHead', in_channels=32, head=plain.model.head)
    models = [load_trained(cfg, None, 'cpu')[0] for cfg in (plain, drloc)]
    models[1].backbone.load_state_dict(models[0].backbone.state_dict())
    found = [encode(model, read_split(plain, 'train')).values for model in models]
    torch.testing.assert_close(*found)


def test_pooling():
    maps = torch.randn(2, 8, 3, 5)
    token = torch.randn(2, 8)
    torch.testing.assert_close(pool((token, maps)), maps.mean((2, 3)))
    torch.testing.assert_close(pool(maps.flatten(2).mT), maps.mean((2, 3)))
    assert pool([[maps, token]]) is token  # the class token of older ViTs
    tokens = torch.cat((token[:, None], maps.flatten(2).mT), 1)
    torch.testing.assert_close(pool((tokens,), has_token=True), token)
    with pytest.raises(ValueError, match=r'shape \(2,\) cannot be pooled'):
        pool(torch.zeros(2))

import pytest
import torch
from mmengine.config import Config

from vit_plugins.config_edits.dataset_by_name import use_data
from vit_plugins.inference.probe import (
    probe_few_shot,
    probe_knn,
    probe_linear,
)


@pytest.fixture(scope='module')
def blobs():
    """Return four classes that are separate, except in the smallest samples."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(200) % 4
    features = 2.0 * torch.randn(4, 16, generator=generator)[labels]
    features += torch.randn(200, 16, generator=generator)
    return (features[:120], labels[:120]), (features[120:], labels[120:])


def test_images_of_another_config_and_their_channel_order(config):
    cfg = config()
    data = Config(dict(data_preprocessor=dict(mean=[1] * 3, to_rgb=True)))
    for part in ('train', 'val', 'test'):
        data[f'{part}_dataloader'] = dict(dataset=dict(type='SVHN'))
    use_data(cfg, data, trained=True)
    assert cfg.test_dataloader.dataset.type == 'SVHN'
    assert dict(cfg.data_preprocessor) == dict(mean=[100] * 3, std=[50] * 3, to_rgb=True)


def test_probes_on_classes_that_lie_apart(blobs, capsys):
    assert probe_knn(*blobs, k=5)['5-NN'] > 95
    assert list(probe_knn(*blobs, k=500)) == ['120-NN']  # no more than there are
    few = probe_few_shot(*blobs, shots=(1, 10, 31))
    assert 'left out: [31] shots, the smallest class has 30 images' in capsys.readouterr().out
    assert list(few) == ['1-shot', '1-shot deviation', '10-shot', '10-shot deviation']
    assert 25 < few['1-shot'] <= few['10-shot']
    assert few['10-shot'] > 90
    linear = probe_linear(*blobs, penalties=(1e-3, 1e3))
    assert linear['linear'] > 95
    assert linear['linear penalty'] == 1e-3  # 1000 leaves nothing but the bias


def test_penalty_cannot_be_chosen_on_single_images(blobs, capsys):
    (features, labels), test = blobs
    first = features[:4], labels[:4]
    assert probe_linear(first, test, (1e-2, 1e-4))['linear penalty'] == 1e-2
    assert 'leaves none to choose the penalty on: 0.01, the first' in capsys.readouterr().out
    probe_linear(first, test, (1e-2,))
    assert not capsys.readouterr().out


def test_chance_on_labels_that_mean_nothing(blobs):
    (features, labels), test = blobs
    shuffled = labels[torch.randperm(120, generator=torch.Generator().manual_seed(1))]
    for found in (
        probe_knn((features, shuffled), test)['20-NN'],
        probe_linear((features, shuffled), test, (1.0,))['linear'],
    ):
        assert found < 60

import pytest
import torch
from mmengine.config import Config

from vit_plugins.inference.embedding_report import read_split
from vit_plugins.inference.probe import (
    extract_features,
    load_backbone,
    pool,
    probe_few_shot,
    probe_knn,
    probe_linear,
    use_data,
)


def config(num_classes=10):
    pipeline = [dict(type='Resize', scale=16), dict(type='PackInputs')]
    augmented = [dict(type='RandomFlip', prob=1.0), *pipeline]
    arch = dict(embed_dims=32, num_layers=1, num_heads=2, feedforward_channels=32)
    loaders = {
        f'{part}_dataloader': dict(
            batch_size=64,
            num_workers=0,
            dataset=dict(type='Digits', split=split, pipeline=steps),
            sampler=dict(type='DefaultSampler', shuffle=part == 'train'),
        )
        for part, split, steps in (('train', 'val', augmented), ('test', 'test', pipeline))
    }
    return Config(
        dict(
            model=dict(
                type='ImageClassifier',
                backbone=dict(type='VisionTransformer', arch=arch, img_size=16, patch_size=8),
                head=dict(
                    type='VisionTransformerClsHead', num_classes=num_classes, in_channels=32
                ),
            ),
            data_preprocessor=dict(mean=[100] * 3, std=[50] * 3, to_rgb=False),
            val_dataloader=loaders['test_dataloader'],
            **loaders,
        )
    )


@pytest.fixture(scope='module')
def blobs():
    """Four classes that lie apart, except in the smallest draws."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(200) % 4
    features = 2.0 * torch.randn(4, 16, generator=generator)[labels]
    features += torch.randn(200, 16, generator=generator)
    return (features[:120], labels[:120]), (features[120:], labels[120:])


def test_features_are_those_of_the_model_in_order():
    cfg = config()
    model = load_backbone(cfg, None, 'cpu')
    features, labels = extract_features(model, read_split(cfg, 'train'))
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


def test_raw_tokens_of_drloc_give_the_features_of_the_plain_model():
    plain, drloc = config(), config()
    drloc.model.backbone.out_type = 'raw'
    drloc.model.head = dict(type='DRLocHead', in_channels=32, head=plain.model.head)
    models = [load_backbone(cfg, None, 'cpu') for cfg in (plain, drloc)]
    models[1].backbone.load_state_dict(models[0].backbone.state_dict())
    found = [extract_features(model, read_split(plain, 'train'))[0] for model in models]
    torch.testing.assert_close(*found)


def test_weights_of_another_head_fit_and_of_another_backbone_do_not(tmp_path):
    trained = load_backbone(config(num_classes=3), None, 'cpu')
    state = trained.state_dict()
    torch.save({'state_dict': state}, tmp_path / 'other_head.pth')
    model = load_backbone(config(), tmp_path / 'other_head.pth', 'cpu')
    for name, value in model.backbone.state_dict().items():
        assert torch.equal(value, trained.backbone.state_dict()[name])
    bare = {k.removeprefix('backbone.'): v for k, v in state.items()}
    torch.save({'state_dict': bare}, tmp_path / 'bare.pth')
    with pytest.raises(ValueError, match=r'\d+ without weights in the file: backbone\.'):
        load_backbone(config(), tmp_path / 'bare.pth', 'cpu')
    wide = {k: v.repeat_interleave(2, -1) if v.dim() else v for k, v in state.items()}
    torch.save({'state_dict': wide}, tmp_path / 'wide.pth')
    told = r'of another shape: backbone\.cls_token \[1, 1, \d+\] in the file, \[1, 1, \d+\] in the'
    with pytest.raises(ValueError, match=told):
        load_backbone(config(), tmp_path / 'wide.pth', 'cpu')
    deep = {k.replace('layers.0', 'layers.9'): v for k, v in state.items()} | state
    torch.save({'state_dict': deep}, tmp_path / 'deep.pth')
    with pytest.raises(ValueError, match=r'in the file without a place: backbone\.layers\.9'):
        load_backbone(config(), tmp_path / 'deep.pth', 'cpu')


def test_images_of_another_config_and_their_channel_order():
    cfg = config()
    data = Config(dict(data_preprocessor=dict(mean=[1] * 3, to_rgb=True)))
    for part in ('train', 'val', 'test'):
        data[f'{part}_dataloader'] = dict(dataset=dict(type='SVHN'))
    use_data(cfg, data)
    assert cfg.test_dataloader.dataset.type == 'SVHN'
    assert dict(cfg.data_preprocessor) == dict(mean=[100] * 3, std=[50] * 3, to_rgb=True)


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


@pytest.mark.parametrize('device', ['foo', 'cuda:99'])
def test_devices_that_are_none(device):
    with pytest.raises(ValueError, match=f"device '{device}' cannot be used: "):
        load_backbone(config(), None, device)


def test_chance_on_labels_that_mean_nothing(blobs):
    (features, labels), test = blobs
    shuffled = labels[torch.randperm(120, generator=torch.Generator().manual_seed(1))]
    for found in (
        probe_knn((features, shuffled), test)['20-NN'],
        probe_linear((features, shuffled), test, (1.0,))['linear'],
    ):
        assert found < 60

"""The comparison of loaders: what is built and what is written, not how fast it is."""

import importlib.util
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.dataset import Compose
from mmengine.registry import DefaultScope
from mmpretrain.registry import TRANSFORMS
from PIL import Image

FILE = Path(__file__).parents[2] / 'tools' / 'benchmarks' / 'loader_speed.py'
OURS = [
    {'type': 'LoadImageFromFile'},
    {'type': 'SimpleRandomCrop', 'crop_size': 32},
    {'type': 'RandomFlip', 'prob': 0.5},
    {'type': 'ThreeAugment', 'color_jitter': 0.3},
    {'type': 'PackInputs'},
]
ADDED = """
train_dataloader['dataset']['serialize_data'] = False  # its garbage collection takes a second
train_dataloader['dataset']['pipeline'] = [
    dict(type='LoadImageFromFile'), dict(type='SimpleRandomCrop', crop_size=16),
    dict(type='ThreeAugment'), dict(type='PackInputs')]
"""


@pytest.fixture(scope='module')
def tool():
    spec = importlib.util.spec_from_file_location('tool_loader_speed', FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope='module')
def photos(tool, tmp_path_factory):
    folder = tmp_path_factory.mktemp('photos')
    tool.write_photos(folder, 8)
    return folder


def types(pipeline):
    return [node['type'] for node in pipeline]


def test_photos_look_like_photos_to_a_decoder(tool, photos, tmp_path):
    files = sorted(photos.rglob('*.jpg'))
    assert [str(f.relative_to(photos).parent) for f in files[:5]] == ['train/a'] * 4 + ['train/b']
    assert len(list((photos / 'val').rglob('*.jpg'))) == 2
    sizes = {Image.open(file).size for file in files}
    assert sizes == {(500, 375)}
    assert 60_000 < np.mean([file.stat().st_size for file in files]) < 160_000
    tool.write_photos(tmp_path, 1)
    assert (tmp_path / 'train/a/0.jpg').read_bytes() == files[0].read_bytes()


def test_crops_are_exchanged_at_their_size(tool):
    other = tool.with_crop(OURS, 'RandomResizedCrop')
    assert other[1]['scale'] == 32
    assert types(tool.with_crop(other, 'SimpleRandomCrop')) == types(OURS)
    assert tool.with_crop(OURS, 'SimpleRandomCrop') == OURS
    with pytest.raises(ValueError, match='none of RandomResizedCrop, SimpleRandomCrop'):
        tool.with_crop(OURS[:1], 'SimpleRandomCrop')


@pytest.mark.parametrize('crop', ['RandomResizedCrop', 'SimpleRandomCrop'])
def test_stock_pipeline_does_the_same_with_the_hosts_transforms(tool, photos, crop):
    stock = tool.stock_pipeline(tool.with_crop(OURS, crop))
    host = [TRANSFORMS.get(name).__module__.split('.')[0] for name in types(stock)]
    assert set(host) <= {'mmpretrain', 'mmcv'}
    assert types(stock)[-4:] == ['RandomFlip', 'RandomChoice', 'ColorJitter', 'PackInputs']
    with DefaultScope.overwrite_default_scope('mmpretrain'), warnings.catch_warnings():
        warnings.simplefilter('ignore')
        pipeline = Compose([TRANSFORMS.build(node) for node in stock[:-2]])
        photo = str(next(photos.rglob('*.jpg')))
        images = [pipeline({'img_path': photo})['img'] for _ in range(30)]
    assert {image.shape for image in images} == {(32, 32, 3)}
    assert {image.dtype for image in images} == {np.dtype('uint8')}
    grey = sum(bool((np.ptp(image, -1) == 0).all()) for image in images)
    assert 2 <= grey <= 20  # a third


def test_jitter_and_flip_follow_the_config(tool):
    assert 'ColorJitter' not in types(tool.stock_pipeline([{**OURS[3], 'color_jitter': None}]))
    (_, jitter) = tool.stock_pipeline([{**OURS[3], 'color_jitter': 0.1}])
    assert jitter['saturation'] == 0.1
    (flip, *_) = tool.stock_pipeline([{**OURS[3], 'flip_prob': 0.4}])
    assert flip == {'type': 'RandomFlip', 'prob': 0.4}


def test_table_takes_ratios_within_a_round(tool):
    contenders = [tool.Contender('SimpleRandomCrop', stock, 2) for stock in (False, True)]
    # (images per second, seconds per step); the second round was disturbed
    found = {
        contenders[0]: [(300.0, 0.2), (30.0, 2.0), (330.0, 0.2)],
        contenders[1]: [(100.0, 0.3), (10.0, 3.0), (100.0, 0.3)],
    }
    _, ours, stock, alone = tool.table(found, [0.1, 1.0, 0.1]).splitlines()
    assert ours.split() == ['SimpleRandomCrop', 'ours', '2', '300', '3.00', '200.0', '2.00']
    assert stock.split()[2:] == ['2', '100', '1.00', '300.0', '3.00']
    assert alone.split() == ['model', 'alone', '100.0', '1.00']


@pytest.mark.parametrize('workers', ['0', pytest.param('01', marks=pytest.mark.slow)])
def test_from_start_to_end(tool, job, photos, capsys, monkeypatch, workers):
    monkeypatch.setattr(tool.torch.cuda, 'is_available', lambda: False)
    config = str(job('loaded', ADDED))
    arguments = ['--data-root', str(photos), '--batch-size', '4', '--workers', *workers]
    options = ['--rounds', '1', '--config-model', '--cfg-options', 'model.backbone.patch_size=4']
    tool.main([config, *arguments, *options])
    head, _, *rows, alone = capsys.readouterr().out.splitlines()
    assert 'batches of 4; VisionTransformer of 0.0 M parameters on cpu' in head
    assert [tuple(row.split()[:3]) for row in rows] == [
        (crop, kind, number)
        for crop in ('RandomResizedCrop', 'SimpleRandomCrop')
        for number in workers
        for kind in ('ours', 'stock')
    ]
    assert all(float(figure) > 0 for row in [*rows, alone] for figure in row.split()[-2:])


def test_small_model_stands_in_on_a_cpu(tool, job, photos, tmp_path, monkeypatch):
    monkeypatch.setattr(tool.torch.cuda, 'is_available', lambda: False)
    args = tool.parse_args([str(job('small', ADDED)), '--batch-size', '2'])
    cfg = tool.complete_config(args, photos, tmp_path)
    assert cfg.model.backbone.type == 'DeiT3ViT'
    assert cfg.model.head.num_classes == 2
    loader = tool.build_loader(cfg, tool.Contender('SimpleRandomCrop', True, 0))
    assert len(loader) == 4
    assert 'RandomChoice' in repr(loader.dataset.pipeline)


def test_errors_say_what_to_do(tool, job, photos, capsys):
    with pytest.raises(SystemExit):
        tool.main(['--num-images', '8'])
    assert '--num-images 8 do not fill a batch of 32' in capsys.readouterr().err
    for option, number in (('--rounds', '0'), ('--batch-size', '0'), ('--workers', '-1')):
        with pytest.raises(SystemExit):
            tool.main([option, number])
        assert 'must be 1 or more, --workers 0 or more' in capsys.readouterr().err
    with pytest.raises(SystemExit, match=r'gone\.py'):
        tool.main(['gone.py', '--data-root', str(photos)])
    with pytest.raises(SystemExit, match='none of RandomResizedCrop'):
        tool.main([str(job()), '--data-root', str(photos), '--config-model', '--batch-size', '2'])


@pytest.mark.slow
def test_what_collating_costs(tool, capsys):
    tool.main(['--collate', '--workers', '0', '--rounds', '1', '--batch-size', '700'])
    rows = capsys.readouterr().out.splitlines()[2:]
    assert [row.split()[0] for row in rows] == list(tool.COLLATES)
    assert all(float(row.split()[2]) > 0 for row in rows)


@pytest.mark.parametrize('name', ['pseudo_collate', 'default_collate', 'CachedImages'])
def test_collates_give_the_same_batches(tool, name):
    batches = []
    for kind in (name, 'stacked_collate'):
        loader, preprocessor = tool.build_collating(kind, 0, 700)
        batches.append(preprocessor(next(iter(loader)), True))
    assert torch.equal(batches[0]['inputs'], batches[1]['inputs'])
    labels = [torch.cat([s.gt_label for s in batch['data_samples']]) for batch in batches]
    assert torch.equal(*labels)

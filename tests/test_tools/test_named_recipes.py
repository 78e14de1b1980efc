"""Recipes by short names, and ``photos`` if its weights are not available."""

from pathlib import Path

import pytest
from PIL import Image

from vit_plugins.command_line.commands import cpu_advice, machine_choice
from vit_plugins.command_line.commands import train as train_command


@pytest.fixture
def photos(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for label in ('cat', 'dog'):
        (tmp_path / 'photos' / label).mkdir(parents=True)
        for i in range(5):
            Image.new('RGB', (8, 8)).save(tmp_path / 'photos' / label / f'{i}.png')
    return tmp_path / 'photos'


def completed(train_tool, *words):
    args = train_tool.parse_args(list(map(str, words)))
    return args, train_command.complete_config(args)


def no_network(cfg, weights):
    raise ValueError(f'{weights}: no network')


def test_photos_starts_from_its_default_weights(train_tool, photos, monkeypatch):
    asked = []
    monkeypatch.setattr(
        train_command, 'apply_pretrained', lambda cfg, weights: asked.append(weights) or cfg
    )
    _, cfg = completed(train_tool, 'photos', '--data-root', photos)
    assert asked == ['convit-tiny_3rdparty_in1k']
    assert cfg.work_dir == 'work_dirs/photos'
    completed(train_tool, 'photos', '--data-root', photos, '--pretrained', 'other.pth')
    assert asked[1:] == ['other.pth']


def test_without_its_weights_photos_are_trained_from_scratch(
    train_tool, photos, monkeypatch, capsys
):
    monkeypatch.setattr(train_command, 'apply_pretrained', no_network)
    monkeypatch.setattr(machine_choice, 'seconds_of_step', lambda cfg, batch_size: 1e9)
    _, cfg = completed(train_tool, 'photos', '--data-root', photos)
    assert (cfg.work_dir, cfg.model.backbone.type) == ('work_dirs/photos-scratch', 'CvT')
    out = capsys.readouterr()
    assert 'cannot be had (convit-tiny_3rdparty_in1k: no network)' in out.out + out.err


def test_a_begun_run_does_not_change_its_recipe(train_tool, photos, monkeypatch):
    monkeypatch.setattr(train_command, 'apply_pretrained', no_network)
    (photos.parent / 'w').mkdir()
    (photos.parent / 'w' / 'epoch_1.pth').touch()
    words = ['photos', '--data-root', photos, '--resume', '--work-dir', photos.parent / 'w']
    with pytest.raises(SystemExit, match=r'Name a file with --pretrained FILE'):
        completed(train_tool, *words)
    with pytest.raises(SystemExit, match=r'--pretrained: other.pth: no network'):
        completed(train_tool, *words, '--pretrained', 'other.pth')


def test_a_run_from_scratch_goes_on_by_the_line_that_is_printed(
    train_tool, photos, monkeypatch, capsys
):
    monkeypatch.setattr(train_command, 'apply_pretrained', no_network)
    monkeypatch.setattr(machine_choice, 'seconds_of_step', lambda cfg, batch_size: 1e9)
    words = ['photos', '--data-root', str(photos)]
    args, cfg = completed(train_tool, *words)
    monkeypatch.setattr(train_command, 'newest_whole_checkpoint', lambda folder: Path('1.pth'))
    monkeypatch.setattr(train_command.sys, 'argv', ['train', *words])
    told = train_command.how_to_go_on(cfg.work_dir, args)
    assert f'train photos-scratch --data-root {photos} --work-dir work_dirs/photos-scratch' in told
    work = photos.parent / 'w'
    work.mkdir()
    (work / 'epoch_1.pth').touch()
    cfg.dump(work / 'photos-scratch.py')
    _, cfg = completed(train_tool, *words, '--resume', '--work-dir', work)
    assert cfg.model.backbone.type == 'CvT'


def test_a_config_of_ones_own_is_not_replaced(train_tool, photos, monkeypatch, tmp_path):
    monkeypatch.setattr(train_command, 'apply_pretrained', no_network)
    packaged = train_command.resource_root() / 'configs' / 'photos.py'
    (tmp_path / 'mine.py').write_text(f'_base_ = {str(packaged)!r}')
    with pytest.raises(SystemExit, match='Name a file with --pretrained FILE'):
        completed(train_tool, str(tmp_path / 'mine.py'), '--data-root', photos)


def test_a_misspelt_name_gets_the_nearest(train_tool, test_tool):
    with pytest.raises(SystemExit, match=r'no config or model .* fotos: did you mean photos'):
        train_tool.main(['fotos'])
    with pytest.raises(SystemExit, match=r'did you mean photos-scratch'):
        test_tool.main(['photos-scrach', 'x.pth'])


def test_photos_on_a_cpu_names_what_is_faster(train_tool, photos, monkeypatch):
    monkeypatch.setattr(train_command, 'apply_pretrained', lambda cfg, weights: cfg)
    monkeypatch.setattr(cpu_advice, 'get_device', lambda: 'cpu')
    monkeypatch.setattr(cpu_advice.os, 'cpu_count', lambda: 2)
    args, cfg = completed(train_tool, 'photos', '--data-root', photos)
    told = cpu_advice.cpu_advice(cfg, args, 2022)
    assert 'No GPU here, 2 cores: 30 epochs of 2,022 photos take roughly 52 min' in told
    assert told.endswith(f'vit-plugins train photos-frozen --data-root {photos}')
    args, cfg = completed(train_tool, 'photos', '--data-root', photos, '--time-limit', '5s')
    assert 'roughly 12 s, 5 s is what there is: fewer epochs' in cpu_advice.cpu_advice(
        cfg, args, 8
    )
    monkeypatch.setattr(cpu_advice, 'get_device', lambda: 'cuda')
    assert cpu_advice.cpu_advice(cfg, args, 8) is None
    monkeypatch.setattr(cpu_advice, 'get_device', lambda: 'cpu')
    args, cfg = completed(train_tool, 'photos-frozen', '--data-root', photos)
    assert cpu_advice.cpu_advice(cfg, args, 8) is None


def test_photos_frozen_needs_weights(train_tool, photos, monkeypatch):
    monkeypatch.setattr(train_command, 'apply_pretrained', no_network)
    with pytest.raises(SystemExit, match=r'Name a file with .* random weights with photos-scra'):
        completed(train_tool, 'photos-frozen', '--data-root', photos)


def test_old_names_go_on(train_tool, photos):
    _, cfg = completed(train_tool, 'convit_drloc_folder', '--data-root', photos)
    assert cfg.work_dir == 'work_dirs/convit_drloc_folder'

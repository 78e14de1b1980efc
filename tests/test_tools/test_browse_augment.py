"""The tool that shows augmentation: its files, which are equal in each run, and its errors."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tool_loading import load_tool

ROOT = Path(__file__).parents[2]
ADDED = """
train_dataloader['dataset']['pipeline'] = [
    dict(type='LoadImageFromFile'), dict(type='SimpleRandomCrop', crop_size=16),
    dict(type='ThreeAugment'), dict(type='PackInputs')]
"""


@pytest.fixture(scope='module')
def browse():
    return load_tool('browse_augment').main


@pytest.fixture
def config(job):
    return str(job('browsed', ADDED))


def test_sheet_of_the_configs_own_images(browse, config, tmp_path, capsys):
    shown = []
    for name, seed in (('a', 1), ('b', 1), ('c', 2)):
        out = tmp_path / 'new' / f'{name}.png'
        browse([config, '--out', str(out), '--num-images', '2', '--seed', str(seed)])
        assert capsys.readouterr().out == f'2 images, 4 draws each: {out}\n'
        shown.append(out.read_bytes())
    assert shown[0] == shown[1] != shown[2]
    assert Image.open(out).format == 'PNG'
    assert Image.open(out).width == 9 * 140  # original, three members, jitter, four draws


def test_crops_of_sample_photos_in_few_colours(browse, config, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    browse([config, '--show', 'crops', '--image', 'sample:china', '--num-draws', '2', '--palette'])
    picture = Image.open(tmp_path / 'browsed_crops.png')
    assert picture.size == (3 * 140, 2 * (128 + 2 * 15 + 12))
    assert picture.mode == 'P'
    assert 'CC BY 2.0' in capsys.readouterr().err


def test_a_config_of_the_package_without_three_augment(browse, tmp_path):
    out = tmp_path / 'digits.png'
    config = ROOT / 'configs' / 'convit_drloc_digits.py'
    browse([str(config), '--out', str(out), '--num-images', '1', '--num-draws', '2'])
    assert Image.open(out).width == 3 * 140


def test_sample_photos_stand_in_for_data_that_are_absent(browse, job, tmp_path, capsys):
    absent = ADDED + "train_dataloader['dataset']['data_root'] = 'not/there'"
    out = tmp_path / 'sheet.png'
    browse([str(job('absent', absent)), '--out', str(out), '--num-draws', '1'])
    told = capsys.readouterr()
    assert 'CustomDataset lacks' in told.err
    assert '2 images' in told.out


def test_own_folder_and_settings(browse, config, tmp_path):
    folder = tmp_path / 'own' / 'red'
    for part in ('red', 'blue'):
        (tmp_path / 'own' / part).mkdir(parents=True)
        for i in range(3):
            Image.new('RGB', (30, 20), part).save(tmp_path / 'own' / part / f'{i}.png')
    out = tmp_path / 'sheet.png'
    setting = 'train_dataloader.dataset.pipeline.2.color_jitter=None'
    few = ['--num-draws', '1', '--num-images', '1', '--cfg-options', setting]
    browse([config, '--data-root', str(folder.parent), '--out', str(out), *few])
    picture = np.asarray(Image.open(out))
    assert picture.shape[1] == 5 * 140  # no jitter
    assert picture[70, 70].tolist() in ([255, 0, 0], [0, 0, 255])


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['--out', 'sheet.jpg'], '--out must end in .png, got sheet.jpg'),
        (['--num-draws', '0'], '--num-images and --num-draws must be 1 or more'),
        (['--cell', '3'], '--cell 32 or more'),
        (['--image', 'absent.jpg'], 'absent.jpg cannot be read'),
        (['--image', 'sample:rome'], 'sample:china or sample:flower'),
        (['--data-root', 'absent'], 'absent'),
    ],
)
def test_errors_say_what_to_do(browse, config, arguments, message, capsys):
    with pytest.raises(SystemExit) as stopped:
        browse([config, *arguments])
    assert stopped.value.code != 0
    assert message in f'{stopped.value.code}{capsys.readouterr().err}'


def test_a_look_at_pictures_downloads_nothing(browse, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    config = ROOT / 'configs' / 'convit_drloc_cifar.py'
    browse([str(config), '--out', 'sheet.png', '--num-images', '1', '--num-draws', '1'])
    told = capsys.readouterr().err
    assert 'CIFAR10 is not (wholly) in the folder' in told
    assert 'tried' not in told  # no attempt, no failure
    assert {path.name for path in tmp_path.iterdir()} == {'sheet.png'}

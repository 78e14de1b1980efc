"""Options of ``train`` from the command line to the config."""

from pathlib import Path

import mmengine.device.utils as host_device
import pytest
import torch
from mmengine.device import get_device
from mmpretrain.registry import DATASETS
from PIL import Image

from vit_plugins.command_line.commands import machine_choice
from vit_plugins.command_line.commands import train as train_command
from vit_plugins.engine.device import use_device


@pytest.fixture
def photos(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for label, number in (('cat', 5), ('dog', 10)):
        (tmp_path / label).mkdir()
        for i in range(number):
            Image.new('RGB', (8, 8)).save(tmp_path / label / f'{i}.png')
    return tmp_path


@pytest.fixture
def completed(train_tool, photos, monkeypatch):
    monkeypatch.setattr(machine_choice, 'seconds_of_step', lambda cfg, batch_size: 1e9)

    def complete(*words, root=photos):
        data = [] if root is None else ['--data-root', str(root)]
        args = train_tool.parse_args(['photos-scratch', *data, *words])
        return train_command.complete_config(args)

    return complete


def test_all_at_once(completed):
    words = [
        '--epochs',
        '5',
        '--batch-size',
        '4',
        '--img-size',
        '32',
        '--lr',
        '1e-4',
        '--seed',
        '3',
        '--workers',
        '0',
    ]
    cfg = completed(*words, '--time-limit', '20m', '--balance', 'sampler')
    assert cfg.train_cfg.max_epochs == 5
    assert cfg.train_dataloader.batch_size == 4
    assert cfg.train_dataloader.num_workers == 0
    assert not cfg.train_dataloader.persistent_workers
    assert cfg.data_preprocessor.batch_transforms[0].scale == 32
    assert cfg.optim_wrapper.optimizer.lr == 1e-4
    assert cfg.randomness.seed == 3
    assert cfg.train_dataloader.dataset.dataset.seed == 0  # which photos validate stays
    assert cfg.custom_hooks == [dict(type='TimeBudgetHook', seconds=1200)]
    assert cfg.train_dataloader.sampler.type == 'ClassBalancedSampler'


def test_options_of_the_config_have_the_last_word(completed):
    cfg = completed('--epochs', '5', '--cfg-options', 'train_cfg.max_epochs=7')
    assert cfg.train_cfg.max_epochs == 7


@pytest.mark.parametrize(
    ('words', 'told'),
    [
        (['--epochs', '0'], '--epochs must be at least 1'),
        (['--img-size', '3'], '--img-size must be at least 16'),
        (['--lr', '0'], '--lr must be a positive number'),
        (['--time-limit', 'soon'], "--time-limit: 'soon' is no duration"),
        (['--no-verify', '--skip-unreadable'], '--skip-unreadable opens all images'),
    ],
)
def test_what_cannot_be_honoured_is_refused(completed, words, told):
    with pytest.raises(SystemExit, match=told):
        completed(*words)


@pytest.mark.parametrize('words', [['--balance', 'loss'], ['--skip-unreadable']])
def test_options_of_a_folder_need_one(completed, words):
    with pytest.raises(SystemExit, match=rf'{words[0]} would have no effect: there is no --data'):
        completed(*words, root=None)


def test_unreadable_images_are_left_out_where_asked(completed, photos, capsys):
    (photos / 'dog' / 'broken.png').write_bytes(b'no image')
    with pytest.raises(SystemExit, match=r'(?s)leave them out with --skip-unreadable.*broken'):
        completed()
    cfg = completed('--skip-unreadable')
    out = capsys.readouterr()
    assert '1 unreadable image(s)' in out.out + out.err
    assert cfg.train_dataloader.dataset.dataset.left_out == ['dog/broken.png']
    parts = [DATASETS.build(cfg[f'{part}_dataloader'].dataset) for part in ('train', 'val')]
    assert sum(map(len, parts)) == 15


def test_a_class_of_unreadable_images_only(completed, photos):
    (photos / 'fox').mkdir()
    (photos / 'fox' / 'broken.png').write_bytes(b'no image')
    with pytest.raises(SystemExit, match=r"no image that can be read is left of 'fox'"):
        completed('--skip-unreadable')


def test_device(monkeypatch):
    monkeypatch.setattr(host_device, 'DEVICE', 'cuda')
    use_device('cpu')
    assert get_device() == 'cpu'
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    use_device('cuda')
    assert get_device() == 'cuda'
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    monkeypatch.setattr(torch.backends.mps, 'is_available', lambda: False)
    for name in ('cuda', 'mps'):
        with pytest.raises(ValueError, match=rf'--device {name}: this machine, .* has cpu only'):
            use_device(name)


def test_groups_are_held_out_whole(completed, photos):
    cfg = completed('--group-by', r'/(\d)')
    assert cfg.val_dataloader.dataset.dataset.group_by == r'/(\d)'
    parts = [DATASETS.build(cfg[f'{part}_dataloader'].dataset) for part in ('train', 'val')]
    names = [
        {Path(part.get_data_info(i)['img_path']).stem for i in range(len(part))} for part in parts
    ]
    assert names[0] | names[1] == set('0123456789')
    assert not names[0] & names[1]
    with pytest.raises(SystemExit, match=r'gives 15 of 15 photos no group'):
        completed('--group-by', 'nothing')


def test_labels_of_a_table(completed, photos, monkeypatch):
    lines = [f'dog/{i}.png,{"even" if i % 2 == 0 else "odd"}' for i in range(10)]
    (photos / 'labels.csv').write_text('\n'.join(['file,class', *lines]))
    cfg = completed('--labels', 'labels.csv')
    assert cfg.train_dataloader.dataset.dataset.labels == str(photos / 'labels.csv')
    assert cfg.train_dataloader.dataset.dataset.metainfo.classes == ('even', 'odd')
    monkeypatch.chdir('/')
    parts = [DATASETS.build(cfg[f'{part}_dataloader'].dataset) for part in ('train', 'val')]
    assert list(map(len, parts)) == [8, 2]
    (photos / 'labels.csv').write_text('file,class\ndog/1.png,a\ndog/1.png,b\n')
    with pytest.raises(SystemExit, match=r'several labels, as dog/1.png \(a and b\)'):
        completed('--labels', str(photos / 'labels.csv'))


def test_group_by_beside_a_validation_part(train_tool, tmp_path):
    for part in ('train', 'val'):
        for label in ('cat', 'dog'):
            (tmp_path / part / label).mkdir(parents=True)
            Image.new('RGB', (8, 8)).save(tmp_path / part / label / 'a.png')
    args = ['photos-scratch', '--data-root', str(tmp_path), '--group-by', 'a']
    with pytest.raises(SystemExit, match=r'--group-by would have no effect: .*val is the'):
        train_command.complete_config(train_tool.parse_args(args))


def test_near_duplicates_on_both_sides_are_reported(completed, photos, capsys):
    stripes = Image.linear_gradient('L').rotate(45).convert('RGB')
    for label in ('cat', 'dog'):
        for path in (photos / label).glob('*.png'):
            stripes.save(path)
    completed()
    out = ''.join(capsys.readouterr())
    assert '3 of 3 validation photos look nearly like one that is trained on (cat/' in out
    assert '--group-by REGEX|FILE.csv keeps photos' in out

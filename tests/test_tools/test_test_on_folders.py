"""``test`` on a folder or a table of photos: the photos that the training held out."""

from pathlib import Path

import pytest
import torch
from mmpretrain.registry import DATASETS
from PIL import Image

from vit_plugins.command_line.commands import test as test_command
from vit_plugins.command_line.commands import train as train_command


@pytest.fixture(scope='module')
def photos(tmp_path_factory) -> Path:
    """Write twenty photos, two of each of ten objects; a table labels them even and odd."""
    tmp_path = tmp_path_factory.mktemp('photos')
    (tmp_path / 'photos' / 'all').mkdir(parents=True)
    lines = ['file,class']
    for number in range(20):
        name = f'all/{number // 2}_{number % 2}.png'
        Image.new('RGB', (8, 8), (12 * number, 0, 0)).save(tmp_path / 'photos' / name)
        lines.append(f'{name},{"odd" if number // 2 % 2 else "even"}')
    (tmp_path / 'photos' / 'labels.csv').write_text('\n'.join(lines))
    return tmp_path / 'photos'


@pytest.fixture(scope='module')
def work_dir(train_tool, photos, tmp_path_factory) -> Path:
    """Write the work dir of a training with a table and groups."""
    tmp_path = tmp_path_factory.mktemp('trained')
    words = ['--labels', str(photos / 'labels.csv'), '--group-by', r'/(\d+)_', '--no-verify']
    args = ['photos-scratch', '--data-root', str(photos), *words, '--epochs', '1']
    cfg = train_command.complete_config(train_tool.parse_args(args))
    (tmp_path / 'w').mkdir()
    cfg.dump(tmp_path / 'w' / 'photos-scratch.py')
    meta = dict(dataset_meta=dict(classes=('even', 'odd')))
    torch.save(dict(state_dict={}, meta=meta), tmp_path / 'w' / 'epoch_1.pth')
    return tmp_path / 'w'


def names_of(test_tool, *words) -> list[str]:
    """Return the names of the photos that are tested."""
    cfg = test_command.complete_config(test_tool.parse_args(list(map(str, words))))
    dataset = DATASETS.build(cfg.test_dataloader.dataset)
    return sorted(Path(dataset.get_data_info(i)['img_path']).name for i in range(len(dataset)))


def test_the_folder_of_the_training_is_split_as_it_was(test_tool, work_dir, photos):
    held_out = names_of(test_tool, work_dir)
    assert {name[0] for name in held_out} == {name[0] for name in held_out if '_1' in name}
    words = ['--data-root', photos, '--no-verify']
    assert names_of(test_tool, work_dir, *words) == held_out
    table = ['--labels', photos / 'labels.csv']
    assert names_of(test_tool, work_dir, *words, *table, '--group-by', r'/(\d+)_') == held_out
    assert names_of(test_tool, work_dir, *words, '--group-by', r'/(\d+_\d)') != held_out


def test_a_table_must_name_the_classes_of_the_training(test_tool, work_dir, photos):
    (photos / 'other.csv').write_text('file,class\nall/1_0.png,even\nall/1_1.png,third\n')
    words = ['--data-root', photos, '--no-verify', '--labels', photos / 'other.csv']
    with pytest.raises(SystemExit, match='third'):
        names_of(test_tool, work_dir, *words)


@pytest.mark.parametrize('option', ['--labels', '--group-by'])
def test_tables_need_a_folder(test_tool, work_dir, option):
    with pytest.raises(
        SystemExit, match=f'{option} would have no effect: there is no --data-root'
    ):
        names_of(test_tool, work_dir, option, 'x.csv')

from pathlib import Path

import pytest
from mmengine.config import Config
from mmpretrain.registry import DATASETS

from vit_plugins.datasets._annotations import AnnotationError
from vit_plugins.datasets.vtab1k import NUM_CLASSES

CONFIG = Path(__file__).parents[2] / 'configs/_base_/datasets/vtab1k_224.py'
LISTS = {
    'train800.txt': b'images/train800val200/000000.jpg 14\n',
    'val200.txt': b'images/train800val200/000800.jpg 46\n',
    'train800val200.txt': b"""\
images/train800val200/000000.jpg 14
images/train800val200/000800.jpg 46
""",
    'test.txt': b'images/test/000000.jpg 0\nimages/test/000001.jpg 3\n',
}


@pytest.fixture
def root(tmp_path):
    for name, content in LISTS.items():
        for line in content.decode().splitlines():
            image = tmp_path / 'dtd' / line.split()[0]
            image.parent.mkdir(parents=True, exist_ok=True)
            image.touch()
        (tmp_path / 'dtd' / name).write_bytes(content)
    return tmp_path


def build(root, **kwargs):
    kwargs = {'task': 'dtd', 'check_counts': False, 'serialize_data': False, **kwargs}
    return DATASETS.build({'type': 'VTAB1k', 'data_root': str(root), **kwargs})


@pytest.mark.parametrize(
    ('split', 'labels', 'test_mode'),
    [
        ('train', [14], False),
        ('val', [46], True),
        ('trainval', [14, 46], False),
        ('test', [0, 3], True),
    ],
)
def test_images_and_labels(root, split, labels, test_mode):
    dataset = build(root, split=split)
    assert dataset.get_gt_labels().tolist() == labels
    assert dataset.test_mode == test_mode
    assert len(dataset.CLASSES) == 47
    first = dataset.get_data_info(0)['img_path']
    assert Path(first).is_file()
    assert first.startswith(str(root / 'dtd/images'))
    assert 'Task: \tdtd' in repr(dataset)


@pytest.mark.parametrize(('split', 'count'), [('train', 800), ('val', 200), ('trainval', '1,000')])
def test_eight_hundred_and_two_hundred(root, split, count):
    with pytest.raises(AnnotationError, match=f'images instead of {count}'):
        build(root, split=split, check_counts=True)
    build(root, split='test', check_counts=True)  # whose number depends on the task


def test_broken_list_is_named(root):
    (root / 'dtd/train800.txt').write_bytes(b'images/train800val200/000000.jpg 47\n')
    with pytest.raises(AnnotationError, match=r'line 1: dtd has the labels 0 to 46, got 47'):
        build(root, split='train')
    (root / 'dtd/images/test/000001.jpg').unlink()
    with pytest.raises(AnnotationError, match='1 of the 2 images'):
        build(root, split='test')


def test_unknown_task_and_split(root):
    with pytest.raises(ValueError, match=r"cifar, .*smallnorb_ele, got 'cifar100'"):
        build(root, task='cifar100')
    with pytest.raises(ValueError, match="train, val, trainval, test, got 'train800'"):
        build(root, split='train800')


@pytest.mark.parametrize('task', NUM_CLASSES)
def test_config_follows_the_task(task, monkeypatch):
    """The classes of the 19 tasks, as in the benchmark's table."""
    monkeypatch.setenv('VTAB_TASK', task)
    cfg = Config.fromfile(CONFIG)
    assert len(NUM_CLASSES) == 19
    assert cfg.num_classes == cfg.data_preprocessor.num_classes == NUM_CLASSES[task]
    tasks = [cfg[f'{part}_dataloader'].dataset.task for part in ('train', 'val', 'test')]
    assert tasks == [task] * 3
    again = Config.fromstring(cfg.pretty_text, '.py')  # as the runner writes it down
    monkeypatch.setenv('VTAB_TASK', 'another')
    assert again.train_dataloader.dataset.task == task


def test_config_names_the_tasks_where_there_is_no_such(monkeypatch):
    monkeypatch.setenv('VTAB_TASK', 'foo')
    with pytest.raises(ValueError, match=r"VTAB_TASK .* cifar, .*smallnorb_ele, got 'foo'"):
        Config.fromfile(CONFIG)

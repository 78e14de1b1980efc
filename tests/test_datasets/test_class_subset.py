import pickle

import numpy as np
import pytest
from mmengine.config import Config
from mmengine.runner import Runner
from mmpretrain.registry import DATA_SAMPLERS, DATASETS

from vit_plugins.config_edits.data_root import apply_data_root
from vit_plugins.config_edits.presence import MissingDataError, require_data
from vit_plugins.datasets.class_subset import choose_per_class

LABELS = [1, 0, 1, 0, 1, 1, 0, 1]
NAMES = list('hgfedcba')


def subset(dataset, **kwargs):
    return DATASETS.build({'type': 'ClassSubset', 'dataset': dataset, **kwargs})


@pytest.fixture
def folder(photos):
    photos('train', blue=10, green=4, red=7)
    return photos('test', blue=3, green=3, red=3)


def source(folder, **kwargs):
    return {'type': 'ImageFolder', 'data_root': str(folder / 'train'), **kwargs}


def paths(dataset):
    infos = [dataset.get_data_info(i) for i in range(len(dataset))]
    return ['/'.join(info['img_path'].split('/')[-2:]) for info in infos]


def test_first_takes_the_official_files(folder):
    """ConViT, datasets.py: of each folder in sorted order the first int(count * ratio) files."""
    expected = []
    for part in sorted((folder / 'train').iterdir()):
        files = sorted(file.name for file in part.iterdir())
        expected += [f'{part.name}/{name}' for name in files[: int(len(files) * 0.3)]]
    assert len(expected) == 3 + 1 + 2
    assert paths(subset(source(folder), fraction=0.3)) == expected


def test_first_goes_by_name_not_by_position():
    assert choose_per_class(LABELS, NAMES, num_per_class=2) == [3, 5, 6, 7]
    assert choose_per_class(LABELS, [''] * 8, num_per_class=2) == [0, 1, 2, 3]


def test_random_is_fixed_nested_and_fair():
    labels, names = [0] * 60 + [1] * 60, [f'{i:03}' for i in range(120)]
    pick = [choose_per_class(labels, names, f, mode='random') for f in (0.1, 0.5, 1.0)]
    assert set(pick[0]) < set(pick[1]) < set(pick[2])
    assert [len(p) for p in pick] == [12, 60, 120]
    assert pick[0] == choose_per_class(labels, names, 0.1, mode='random')
    # written down when it was made: another would void the numbers of random subsets
    assert pick[0][:6] == [8, 21, 24, 34, 47, 50]
    times = np.zeros(120)
    for seed in range(400):
        times[choose_per_class(labels, names, num_per_class=6, mode='random', seed=seed)] += 1
    # 5 standard deviations of a count with p = 0.1
    assert np.abs(times - 40).max() < 5 * (400 * 0.09) ** 0.5


def test_class_numbers_names_and_labels_stay(folder):
    whole = DATASETS.build(source(folder))
    part = subset(source(folder), num_per_class=2, mode='random', seed=3)
    assert part.CLASSES == whole.CLASSES == ('blue', 'green', 'red')
    assert part.metainfo == whole.metainfo
    assert part.class_to_idx == {'blue': 0, 'green': 1, 'red': 2}
    assert part.get_gt_labels().tolist() == [0, 0, 1, 1, 2, 2]
    assert [part.get_cat_ids(i) for i in range(6)] == [[0], [0], [1], [1], [2], [2]]
    assert set(paths(part)) < set(paths(whole))


@pytest.mark.parametrize(
    'wrap',
    [
        lambda d: {'type': 'ConcatDataset', 'datasets': [d, d]},
        lambda d: {'type': 'RepeatDataset', 'times': 2, 'dataset': d},
        lambda d: {'type': 'KFoldDataset', 'num_splits': 2, 'dataset': d},
    ],
    ids=['concat', 'repeat', 'kfold'],
)
def test_around_the_wrappers_of_the_host(wrap):
    digits = {'type': 'Digits', 'split': 'val', 'serialize_data': False}
    part = subset(wrap(digits), num_per_class=3)
    assert len(part) == 30
    assert np.bincount(part.get_gt_labels()).tolist() == [3] * 10


def test_smaller_classes_keep_all_where_that_is_allowed(folder):
    part = subset(source(folder), num_per_class=7, mode='random', allow_fewer=True)
    assert np.bincount(part.get_gt_labels()).tolist() == [7, 4, 7]
    assert 'num_per_class=7, allow_fewer=True' in repr(part)


@pytest.mark.parametrize('lazy', [False, True])
def test_folds_of_a_part(folder, lazy):
    inner = {'type': 'ClassSubset', 'dataset': source(folder), 'num_per_class': 3}
    inner['lazy_init'] = lazy
    folds = {'type': 'KFoldDataset', 'dataset': inner, 'num_splits': 3, 'seed': 0}
    whole = paths(DATASETS.build(inner))
    held = []
    for fold in range(3):
        train, val = (
            DATASETS.build({**folds, 'fold': fold, 'test_mode': mode}) for mode in (False, True)
        )
        assert sorted(paths(train) + paths(val)) == whole
        assert len(val) == len(val.get_gt_labels()) == 3
        held += paths(val)
    assert sorted(held) == whole


def test_lazy_until_first_use(folder):
    part = subset(source(folder, lazy_init=True), num_per_class=2, lazy_init=True)
    assert 'images' not in repr(part).split('of Data')[0]
    assert len(part) == 6
    assert '6 images' in repr(part)


def test_items_and_copies_for_workers():
    digits = {'type': 'Digits', 'split': 'val', 'pipeline': [{'type': 'PackInputs'}]}
    part = subset(digits, num_per_class=2)
    again = pickle.loads(pickle.dumps(part))
    assert len(again) == 20
    for i in range(20):
        item = part[i]
        assert item['data_samples'].gt_label.item() == part.get_cat_ids(i)[0]
        assert (item['inputs'] == again[i]['inputs']).all()


@pytest.mark.parametrize('kind', ['DefaultSampler', 'ClassBalancedSampler', 'RepeatAugSampler'])
def test_samplers_draw_from_the_part_only(kind):
    part = subset({'type': 'Digits', 'serialize_data': False}, num_per_class=4)
    sampler = DATA_SAMPLERS.build({'type': kind, 'dataset': part, 'seed': 0})
    drawn = list(sampler)
    assert drawn
    assert max(drawn) < len(part) == 40
    [part.get_data_info(i) for i in drawn]


@pytest.mark.parametrize(
    ('kwargs', 'message'),
    [
        ({}, 'either fraction or num_per_class'),
        ({'fraction': 0.5, 'num_per_class': 3}, 'either fraction or num_per_class'),
        ({'fraction': 0.0}, r'within \(0, 1\], got 0.0'),
        ({'fraction': '0.1'}, r"number within \(0, 1\], got '0.1'"),
        ({'fraction': True}, r'number within \(0, 1\], got True'),
        ({'fraction': 1.5}, r'within \(0, 1\], got 1.5'),
        ({'num_per_class': 0}, 'at least 1, got 0'),
        ({'num_per_class': 2.5}, 'whole number, at least 1, got 2.5'),
        ({'num_per_class': True}, 'whole number, at least 1, got True'),
        ({'num_per_class': '3'}, "whole number, at least 1, got '3'"),
        ({'fraction': 0.5, 'allow_fewer': True}, 'allow_fewer has no effect on a fraction'),
        ({'fraction': 0.5, 'mode': 'last'}, "first, random, got 'last'"),
        ({'fraction': 0.5, 'seed': 1}, "seed=1 has no effect with mode='first'"),
        ({'fraction': 0.05}, 'class 0 has 12 images, fraction=0.05 would keep 0: choose a larger'),
        ({'num_per_class': 13}, 'class 0 has 12 images, num_per_class=13 would keep 13: choose'),
    ],
)
def test_errors(kwargs, message):
    class Few:
        def __len__(self):
            return 12

        def get_data_info(self, idx):
            return {'gt_label': 0}

    with pytest.raises(ValueError, match=message):
        subset(Few(), **kwargs)


def test_several_labels_per_image_are_refused():
    class Several:
        def __len__(self):
            return 1

        def get_data_info(self, idx):
            return {'gt_label': [0, 1]}

    with pytest.raises(ValueError, match='one class per image'):
        subset(Several(), fraction=0.5)


def config(folder):
    pipeline = [{'type': 'LoadImageFromFile'}, {'type': 'Resize', 'scale': 16}]
    pipeline += [{'type': 'PackInputs'}]
    leaf = {'type': 'CustomDataset', 'data_root': 'none', 'pipeline': pipeline}
    loader = {'batch_size': 2, 'num_workers': 0, 'dataset': leaf}
    sampler = {'sampler': {'type': 'DefaultSampler', 'shuffle': False}}
    wrapped = {'type': 'ClassSubset', 'dataset': leaf, 'num_per_class': 2}
    head = {'type': 'LinearClsHead', 'num_classes': 9, 'in_channels': 8}
    return Config(
        {
            'train_dataloader': {**loader, 'dataset': wrapped, **sampler},
            'val_dataloader': {**loader, **sampler},
            'test_dataloader': {**loader, **sampler},
            'model': {'type': 'ImageClassifier', 'backbone': {'type': 'LeNet5'}, 'head': head},
        }
    )


def test_a_folder_of_a_person_goes_inside(folder, capsys):
    cfg = apply_data_root(config(folder), folder)
    outer = cfg.train_dataloader.dataset
    assert (outer.type, outer.num_per_class, outer.dataset.type) == (
        'ClassSubset',
        2,
        'ImageFolder',
    )
    assert 'ClassSubset keeps 6 of the images to train on' in capsys.readouterr().out
    capped = config(folder)
    capped.train_dataloader.dataset.update(num_per_class=7, allow_fewer=True)
    apply_data_root(capped, folder)
    assert 'ClassSubset keeps 16 of the images to train on' in capsys.readouterr().out
    loader = Runner.build_dataloader(cfg.train_dataloader)
    labels = [sample.gt_label.item() for batch in loader for sample in batch['data_samples']]
    assert sorted(labels) == [0, 0, 1, 1, 2, 2]


def test_a_batch_larger_than_what_is_left_is_noticed(folder):
    cfg = config(folder)
    cfg.train_dataloader.update(batch_size=8, drop_last=True)
    with pytest.raises(ValueError, match='6 training images do not fill one batch of 8'):
        apply_data_root(cfg, folder)


def test_absent_data_are_noticed(folder):
    with pytest.raises(MissingDataError, match='CustomDataset lacks'):
        require_data(config(folder), ['train'])

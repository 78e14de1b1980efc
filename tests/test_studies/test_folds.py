import json
import shutil
import sys

import pytest
from mmengine.config import Config
from mmpretrain.registry import DATASETS

from vit_plugins.studies.folds import FoldError, fold_config, fold_table, run_folds

# Stands in for tools/train.py: one validation, worth ten times its attempt; breaks off if told.
TRAIN = """
import json, pathlib, sys
config, options = sys.argv[1], sys.argv[2:]
work_dir = pathlib.Path(options[options.index('--work-dir') + 1])
assert options[:2] == ['--resume', 'auto'] and '--amp' in options
calls = work_dir.parent / 'calls'
calls.write_text((calls.read_text() if calls.is_file() else '') + work_dir.name + ' ')
if (work_dir.parent / 'break').exists() and work_dir.name == 'fold1':
    sys.exit(3)
logs = work_dir / 'now/vis_data'
logs.mkdir(parents=True)
fold = int(work_dir.name[-1])
metrics = {'accuracy/top1': 90.0 + fold, 'recall_classwise': [50.0, 60.0], 'step': 3}
(logs / 'scalars.json').write_text(json.dumps(metrics))
"""


def config(**dataset):
    train = {
        'type': 'Digits',
        'split': 'trainval',
        'pipeline': [{'type': 'PackInputs'}],
        **dataset,
    }
    val = {'type': 'Digits', 'split': 'test', 'pipeline': [{'type': 'Resize', 'scale': 16}]}
    evaluator = {'type': 'Accuracy'}
    return Config(
        {
            'train_dataloader': {'batch_size': 4, 'dataset': train},
            'val_dataloader': {'batch_size': 8, 'dataset': val},
            'test_dataloader': {'batch_size': 8, 'dataset': val},
            'test_evaluator': evaluator,
            'val_evaluator': evaluator,
            'test_cfg': {},
        }
    )


def build(loader):
    loader.dataset.dataset.serialize_data = False  # it collects garbage, half a second each
    return DATASETS.build(loader.dataset)


def test_folds_are_the_training_images_each_validated_once():
    before = config().pretty_text
    images, sizes = [], []
    for fold in range(3):
        cfg = fold_config(base := config(), fold, 3, seed=0)
        assert base.pretty_text == before
        train, val = build(cfg.train_dataloader), build(cfg.val_dataloader)
        kept, held = (
            [d.get_data_info(i)['img'].tobytes() for i in range(len(d))] for d in (train, val)
        )
        assert len(kept) + len(held) == 1438  # trainval, not test
        images += held
        sizes.append(len(held))
        assert cfg.train_dataloader.dataset.dataset.pipeline[0].type == 'PackInputs'
        assert cfg.val_dataloader.dataset.dataset.pipeline[0].type == 'Resize'
        assert (cfg.test_dataloader, cfg.test_evaluator, cfg.test_cfg) == (None, None, None)
    whole = DATASETS.build({**config().train_dataloader.dataset, 'serialize_data': False})
    every = [whole.get_data_info(i)['img'].tobytes() for i in range(len(whole))]
    assert sorted(images) == sorted(every)
    assert sizes == [479, 479, 480]


def test_folds_of_grouped_photos_hold_whole_groups():
    cfg = fold_config(config(type='ImageFolder', part='train', group_by='^..', val_fraction=0.2),
                      1, 5, seed=7)  # fmt: skip
    for part in ('train', 'val'):
        dataset = cfg[f'{part}_dataloader'].dataset
        assert (dataset.type, dataset.part, dataset.group_by) == ('ImageFolder', part, '^..')
        assert (dataset.fold, dataset.seed, dataset.test_mode) == ((1, 5), 7, part == 'val')
        assert 'val_fraction' not in dataset


def test_folder_that_splits_off_its_validation_part_is_cut_whole():
    folder = {'type': 'ImageFolder', 'data_root': 'photos', 'part': 'train'}
    cfg = fold_config(config(**folder), 1, 5, seed=7)
    for loader in (cfg.train_dataloader, cfg.val_dataloader):
        assert (loader.dataset.dataset.type, loader.dataset.dataset.part) == ('ImageFolder', 'all')
        assert (loader.dataset.fold, loader.dataset.num_splits, loader.dataset.seed) == (1, 5, 7)


def test_images_that_are_kept_in_memory_are_cut_within():
    cfg = config()
    for loader in (cfg.train_dataloader, cfg.val_dataloader):
        loader.dataset = {'type': 'CachedImages', 'dataset': loader.dataset}
    cfg.machine_steps = dict(steps=[dict(size=64)], least_epochs=1)
    cut = fold_config(cfg, 0, 3, seed=7)
    assert 'machine_steps' not in cut
    for loader, name in ((cut.train_dataloader, 'PackInputs'), (cut.val_dataloader, 'Resize')):
        assert loader.dataset.type == 'CachedImages'
        assert loader.dataset.dataset.type == 'KFoldDataset'
        assert loader.dataset.dataset.dataset.pipeline[0].type == name


def test_what_cannot_be_cut():
    wrapped = config()
    leaf = wrapped.train_dataloader.dataset
    wrapped.train_dataloader.dataset = {'type': 'RepeatDataset', 'times': 2, 'dataset': leaf}
    with pytest.raises(ValueError, match=r'plain dataset with a pipeline .* got RepeatDataset'):
        fold_config(wrapped, 0, 5, 0)
    unseen = config()
    unseen.val_dataloader = None
    with pytest.raises(ValueError, match=r'val_dataloader.dataset must be a plain .* got None'):
        fold_config(unseen, 0, 5, 0)
    for fold, splits in ((0, 1), (5, 5), (-1, 5)):
        with pytest.raises(ValueError, match=f'{fold=} and num_splits={splits}'):
            fold_config(config(), fold, splits, 0)


def test_fewer_photos_or_groups_than_folds_are_refused_before_a_training(photos, tmp_path):
    root = str(photos(blue=2, red=2))
    few = dict(type='ImageFolder', data_root=root, part='all')
    for group_by, said in ((None, 'fewer training images than the 5'), ('(blue|red)', 'are 2')):
        cfg = config()
        for part in ('train', 'val'):
            loader = cfg[f'{part}_dataloader']
            loader.dataset = {**few, 'group_by': group_by, 'pipeline': loader.dataset.pipeline}
        with pytest.raises(ValueError, match=said):
            run_folds(cfg, tmp_path / 'folds', [], 5)
        assert not (tmp_path / 'folds').exists()


@pytest.fixture
def run(tmp_path):
    script = tmp_path / 'train.py'
    script.write_text(TRAIN)

    def call(seed=0, options=('--amp',)):
        lines = []
        command = [sys.executable, str(script)]
        results = run_folds(config(), tmp_path, command, 3, seed, options, lines.append)
        return results, lines

    return call


def test_runs_each_fold_and_goes_on_where_it_was_cut_off(run, tmp_path):
    (tmp_path / 'break').touch()
    with pytest.raises(FoldError, match='fold 1 ended with exit code 3'):
        run()
    (tmp_path / 'break').unlink()
    results, lines = run()
    assert results == [{'accuracy/top1': 90.0 + fold} for fold in range(3)]
    assert lines[0] == (
        'folds of the training images alone: those to validate and test on are unused'
    )
    assert lines[1] == 'fold 1 of 3: accuracy/top1 90.00'
    assert (tmp_path / 'calls').read_text().split() == ['fold0', 'fold1', 'fold1', 'fold2']
    assert run()[0] == results
    assert len((tmp_path / 'calls').read_text().split()) == 4
    dataset = Config.fromfile(tmp_path / 'fold2.py').val_dataloader.dataset
    assert (dataset.type, dataset.fold, dataset.test_mode) == ('KFoldDataset', 2, True)


def test_images_that_are_not_used_are_told(photos, tmp_path):
    root = photos('train', blue=2, red=2)
    (tmp_path / 'train.py').write_text(TRAIN)
    command, lines = [sys.executable, str(tmp_path / 'train.py')], []
    for name, part in (('separate', {}), ('split', {'part': 'train'})):
        folder = {'type': 'ImageFolder', 'data_root': str(root / 'train'), **part}
        cfg = config(**folder)
        cfg.train_dataloader.dataset.pop('split')  # of the digits
        cfg.val_dataloader.dataset.update(folder, data_root='photos/val', part='val')
        run_folds(cfg, tmp_path / name, command, 2, 0, ['--amp'], lines.append)
    shutil.rmtree(root)  # what is finished is shown without its photos
    assert len(run_folds(cfg, tmp_path / name, command, 2, 0, ['--amp'], print)) == 2
    told = [line for line in lines if 'training images' in line]
    assert told == [
        'folds of the training images alone: '
        'those to validate (photos/val) and test on are unused',
        'folds of the training images, with those that would be split off to validate',
    ]


def test_other_folds_are_not_mixed_in(run):
    run()
    with pytest.raises(FoldError, match=r'fold0\.py is of another config, seed, number of folds'):
        run(seed=1)
    with pytest.raises(FoldError, match=r'or other options'):
        run(options=('--amp', '--no-pin-memory'))


def test_wrong_option_does_not_block_the_folder(run, tmp_path):
    script = (tmp_path / 'train.py').read_text()
    (tmp_path / 'train.py').write_text("import sys; sys.exit('--apm' in sys.argv)")
    with pytest.raises(FoldError, match='fold 0 ended with exit code 1'):
        run(options=('--apm',))
    (tmp_path / 'train.py').write_text(script)
    assert len(run()[0]) == 3


def test_training_without_validation(run, tmp_path):
    (tmp_path / 'train.py').write_text('')
    with pytest.raises(FoldError, match='fold 0 left no validation'):
        run()


def test_table_of_several_metrics():
    rows = [json.loads(f'{{"a": {a}, "b": {a * 2}}}') for a in (1, 2, 3)]
    assert [line.split() for line in fold_table(rows).splitlines()] == [
        ['fold', 'a', 'b'],
        ['0', '1.00', '2.00'],
        ['1', '2.00', '4.00'],
        ['2', '3.00', '6.00'],
        ['mean', '2.00', '4.00'],
        ['deviation', '1.00', '2.00'],
    ]

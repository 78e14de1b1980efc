"""The test tool: from a work dir, with mixed precision, views, predictions and pictures."""

import csv
import json
import pickle
import re
from pathlib import Path

import pytest
from mmengine.config import Config

from vit_plugins.command_line.commands import test as test_command


@pytest.fixture(scope='module')
def work_dir(job, train_tool, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp('work')
    options = ['train_cfg.max_epochs=1', 'default_hooks.checkpoint.save_best=None']
    train_tool.main([str(job()), '--work-dir', str(folder), '--cfg-options', *options])
    return folder


def test_a_work_dir_is_enough_and_stays_as_it_is(work_dir, job, test_tool):
    before = (work_dir / 'tiny.py').read_bytes()
    metrics = test_tool.main([str(work_dir), '--tta', '--amp'])
    assert 0 <= metrics['accuracy/top1'] <= 100
    assert (work_dir / 'tiny.py').read_bytes() == before
    assert (work_dir / 'test' / 'tiny.py').is_file()
    tested = test_command.complete_config(test_tool.parse_args([str(work_dir)]))
    assert Path(tested.load_from) == work_dir / 'epoch_1.pth'


@pytest.mark.slow
def test_metrics_predictions_and_pictures_are_written(work_dir, job, test_tool, tmp_path):
    arguments = [str(job()), str(work_dir / 'epoch_1.pth'), '--work-dir', str(tmp_path)]
    metrics = test_tool.main(
        [*arguments, '--out', str(tmp_path / 'metrics.json'), '--out-item', 'metrics']
    )
    assert json.loads((tmp_path / 'metrics.json').read_text()) == metrics
    drawn = ['--show-dir', str(tmp_path / 'pictures'), '--interval', '13']
    test_tool.main([*arguments, '--out', str(tmp_path / 'predictions.pkl'), *drawn])
    with (tmp_path / 'predictions.pkl').open('rb') as file:
        assert len(pickle.load(file)) == 36
    assert len(list((tmp_path / 'pictures').rglob('*.png'))) == 3


def test_words_and_tables_for_people(work_dir, job, test_tool, tmp_path, capfd):
    arguments = [str(job()), str(work_dir / 'epoch_1.pth'), '--work-dir', str(tmp_path)]
    metrics = test_tool.main([*arguments, '--out', str(tmp_path / 'p.csv')])
    out = ''.join(capfd.readouterr())
    with (tmp_path / 'p.csv').open(newline='') as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 36
    right = sum(row['true'] == row['predicted'] for row in rows)
    assert right / 36 * 100 == pytest.approx(metrics['accuracy/top1'], abs=1e-3)
    assert rows[0]['file'].endswith('.png')
    assert f'({right} of 36 images; 95 % interval ' in out
    assert 'rows: class, columns: named' in out
    assert 'Config:' not in out
    test_tool.main([*arguments, '--out', str(tmp_path / 'p.json')])
    assert [row['file'] for row in json.loads((tmp_path / 'p.json').read_text())] == [
        row['file'] for row in rows
    ]
    test_tool.main([*arguments, '--out', str(tmp_path / 'm.csv'), '--out-item', 'metrics'])
    assert (tmp_path / 'm.csv').read_text().startswith('metric,value\naccuracy/top1,')


@pytest.mark.parametrize(
    ('out', 'told'),
    [
        ('x.txt', r'must end in .csv, .json, .pkl for --out-item pred'),
        ('nowhere/x.csv', r'there is no folder nowhere'),
        ('folder.csv', r'is a folder: name a file'),
    ],
)
def test_out_is_checked_at_once(test_tool, tmp_path, monkeypatch, capsys, out, told):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'folder.csv').mkdir()
    with pytest.raises(SystemExit):
        test_tool.parse_args(['config.py', 'a.pth', '--out', out])
    assert re.search(told, capsys.readouterr().err)


def test_amp_reaches_the_evaluation(work_dir, test_tool):
    cfg = test_command.complete_config(test_tool.parse_args([str(work_dir), '--amp']))
    assert cfg.test_cfg.fp16


CROPPED = """
test_dataloader = dict(test_dataloader, dataset=dict(
    test_dataloader['dataset'],
    pipeline=[
        dict(type='LoadImageFromFile'), dict(type='ResizeEdge', scale=16, edge='short'),
        dict(type='CenterCrop', crop_size=16), dict(type='PackInputs')]))
tta_pipeline = [dict(type='LoadImageFromFile'), dict(type='PackInputs')]
"""


def test_drawing_needs_no_default_hooks(test_tool):
    for settings in ({}, dict(default_hooks=None), dict(default_hooks=dict(visualization=None))):
        cfg = Config(settings)
        args = test_tool.parse_args(['config', 'checkpoint', '--show-dir', 'drawn'])
        test_command.plot_predictions(cfg, args)
        assert cfg.default_hooks.visualization.out_dir == 'drawn'


def test_crop_ratio_resizes_before_the_crop(work_dir, job, test_tool, tmp_path):
    arguments = [str(job('cropped', CROPPED)), str(work_dir / 'epoch_1.pth')]
    arguments += ['--work-dir', str(tmp_path), '--crop-ratio', '0.5']
    cfg = test_command.complete_config(test_tool.parse_args(arguments))
    assert cfg.test_dataloader.dataset.pipeline[1].scale == 32
    assert 0 <= test_tool.main(arguments)['accuracy/top1'] <= 100
    with pytest.raises(SystemExit, match='is LoadImageFromFile > PackInputs'):  # its own views
        test_command.complete_config(test_tool.parse_args([*arguments, '--tta']))


@pytest.mark.parametrize(
    ('ratio', 'message'), [('0.9', 'one ResizeEdge and one CenterCrop'), ('1.5', r'\(0, 1\]')]
)
def test_crop_ratio_that_cannot_be_set(ratio, message, work_dir, test_tool):
    with pytest.raises(SystemExit, match=f'--crop-ratio: .*{message}'):
        test_command.complete_config(test_tool.parse_args([str(work_dir), '--crop-ratio', ratio]))


def test_classes_of_a_folder_must_be_those_of_the_training(work_dir, job, test_tool, tmp_path):
    for name in ('dark', 'grey', 'purple'):
        (tmp_path / name).symlink_to(job().parent / 'val' / 'dark')
    with pytest.raises(SystemExit, match='purple'):
        test_tool.main([str(work_dir), '--data-root', str(tmp_path)])


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['config.py'], 'give a checkpoint, or a work dir'),
        (['config.py', 'a.pth', '--out-item', 'pred'], 'give --out as well'),
    ],
)
def test_arguments_that_do_not_suffice(arguments, message, test_tool, capsys):
    with pytest.raises(SystemExit):
        test_tool.main(arguments)
    assert message in capsys.readouterr().err


def test_descriptors_have_no_class_scores_to_average(test_tool):
    config = Path(__file__).parents[2] / 'configs/retrieval_digits.py'
    with pytest.raises(SystemExit, match='EmbeddingRetriever gives descriptors: leave it out'):
        test_command.average_over_views(Config.fromfile(config))

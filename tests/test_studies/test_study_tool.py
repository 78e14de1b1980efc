"""``tools/study.py``: its lists, errors and reports, and resuming a killed study."""

import functools
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tool_loading import load_tool

from vit_plugins.command_line.commands import study as study_command
from vit_plugins.studies import report
from vit_plugins.studies.cell_folder import cell_state, read_json
from vit_plugins.studies.cell_runner import CellRunner
from vit_plugins.studies.grid import make_cells, read_study
from vit_plugins.studies.study_file import DEFAULTS, SPECIAL

ROOT = Path(__file__).parents[2]
TOOL = ROOT / 'tools' / 'study.py'


@pytest.fixture
def study(bench, monkeypatch, capsys):
    """Return a function that calls the tool on the stub study and returns its output."""
    tool = load_tool('study')
    stubs = {
        part: [sys.executable, '-S', str(bench.folder / f'{part}.py')]
        for part in ('train', 'test')
    }
    monkeypatch.setattr(study_command, 'CellRunner', functools.partial(CellRunner, **stubs))
    monkeypatch.setattr(report, 'plot_pictures', lambda *args: [])  # test_report.py has them

    def call(*options):
        tool.main([str(bench.folder / 'tiny.yaml'), '--work-dir', str(bench.out), *options])
        return capsys.readouterr().out

    return call


def test_list_run_and_collect(bench, study):
    assert study('--dry-run').splitlines()[1:] == [
        'todo       plain/seed0',
        'todo       lifted/seed0',
        'todo       plain/seed1',
        'todo       lifted/seed1',
    ]
    assert not bench.out.exists()
    told = study('--only', '*/seed0', '--jobs', '2', '--threads', '1')
    assert '| plain | 1 | 48.00 |' in told
    assert 'Not in the tables, 2 cells: plain/seed1 (todo), lifted/seed1 (todo)' in told
    told = study('--only', 'seed1')
    assert '[2/2]' in told
    assert '| lifted - plain | 2 | +10.00 ± 0.00 | +10.00 to +10.00 |' in told
    assert study('--dry-run').count('done ') == 4
    times = [path.stat().st_mtime_ns for path in sorted(bench.out.glob('*/*/record.json'))]
    report = bench.out / 'report.md'
    report.unlink()
    study('--collect')
    assert report.exists()
    study()  # all done: nothing runs
    assert times == [p.stat().st_mtime_ns for p in sorted(bench.out.glob('*/*/record.json'))]


def test_a_changed_cell_is_refused_until_forced(bench, study):
    study()
    path = bench.folder / 'tiny.yaml'
    path.write_text(path.read_text().replace('lift: 10.0', 'lift: 20.0'))
    assert study('--dry-run').count('changed ') == 2
    with pytest.raises(SystemExit, match=r'2 cells in .* are of another config. --force'):
        study()
    with pytest.raises(SystemExit, match='2 cells are of another config and left out'):
        study('--collect')
    assert 'lifted' not in (bench.out / 'summary.csv').read_text()
    told = study('--force')
    assert 'lifted/seed0: its config was another' in told
    assert '| lifted - plain | 2 | +20.00 ' in told


def test_a_metric_asked_for_later_must_have_been_measured(bench, study):
    study('--only', 'plain/seed0')
    path = bench.folder / 'tiny.yaml'
    path.write_text(path.read_text() + 'metric: [accuracy/top1, accuracy/top5]\n')
    with pytest.raises(
        SystemExit, match='seed0 has no metric accuracy/top5; it has accuracy/top1'
    ):
        study('--collect')


def test_help_names_every_key(study, capsys):
    with pytest.raises(SystemExit, match='0'):
        study('--help')
    told = capsys.readouterr().out
    assert [key for key in (*DEFAULTS, *SPECIAL, 'inherit') if key not in told] == []


def test_settings_without_effect_end_it_before_the_first_cell(bench, study):
    bench.write(bench.text.replace('model.lift: 10.0', 'train_cfg.max_epoch: 5'))
    with pytest.raises(SystemExit, match=r"cell lifted/seed0: (.|\n)*did you mean 'max_epochs'"):
        study()


def test_failed_cells_end_in_an_exit_code_and_a_report_of_the_rest(bench, study):
    path = bench.folder / 'tiny.yaml'
    path.write_text(path.read_text().replace('lifted: {', 'lifted: {fail: train, '))
    with pytest.raises(SystemExit, match='2 cells not finished: lifted/seed0, lifted/seed1'):
        study()
    assert '| plain | 2 |' in (bench.out / 'report.md').read_text()
    assert study('--dry-run').count('failed ') == 2


def test_wrong_use_ends_in_words(bench, study):
    with pytest.raises(SystemExit, match='no such cell; the first is plain/seed0'):
        study('--only', 'zzz')
    with pytest.raises(SystemExit, match='nothing to report'):
        study('--collect')
    with pytest.raises(SystemExit, match='2'):
        study('--threads', '0')
    (bench.folder / 'tiny.yaml').write_text('base: gone.py\naxes: {a: {b: {}}}')
    with pytest.raises(SystemExit, match=r'cell b/seed0: .*gone.py'):
        study()


DIGITS = f"""
base: {ROOT}/configs/_base_/studies/digits.py
options: {{train_cfg.max_epochs: 2, train_cfg.val_interval: 1}}
axes:
  loss:
    plain: {{}}
    smooth:
      model.head.loss: {{_delete_: true, type: LabelSmoothLoss, label_smooth_val: 0.1}}
seeds: [0, 1]
compare: {{axis: loss, baseline: plain}}
train_args: [--no-persistent-workers]
"""


@pytest.mark.slow
def test_a_killed_study_loses_no_cell(tmp_path):
    """With real trainings and SIGKILL during the second one, first to the study alone."""
    path = tmp_path / 'digits.yaml'
    path.write_text(DIGITS)
    out = tmp_path / 'out'
    cells = make_cells(read_study(path))
    command = [sys.executable, str(TOOL), str(path), '--work-dir', str(out), '--threads', '1']
    environment = {**os.environ, 'PYTHONPATH': str(ROOT)}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    second = out / cells[1].name
    while not list(second.glob('stage1/epoch_1.pth')):
        assert process.poll() is None
        time.sleep(0.05)
    done = (out / cells[0].name / 'record.json').stat().st_mtime_ns
    training = int(subprocess.check_output(['pgrep', '-P', str(process.pid)]).split()[0])
    process.kill()
    process.wait()
    assert cell_state(cells[1], second, None) == 'busy'  # its training goes on, alone
    os.kill(training, signal.SIGKILL)
    while cell_state(cells[1], second, None) == 'busy':
        time.sleep(0.05)
    again = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert again.returncode == 0, again.stdout + again.stderr
    assert (out / cells[0].name / 'record.json').stat().st_mtime_ns == done
    record = read_json(second / 'record.json')
    assert record['resumed']
    assert 'Resuming from' in (second / 'log.txt').read_text()
    assert [step for step, _ in record['stages'][0]['curves']['accuracy/top1']] == [1, 2]
    assert record['peak_rss_mb'] > 100
    assert '| smooth - plain | 2 | ' in (out / 'report.md').read_text()
    assert (out / 'curves_accuracy_top1.png').stat().st_size > 10_000


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (['--force', '--dry-run'], '--force deletes cells'),
        (['--force', '--collect'], '--force deletes cells'),
        (['--only', '*', '--collect'], '--collect reports all finished'),
        (['--jobs', '0'], 'must be at least 1, got 0'),
    ],
)
def test_options_that_would_be_ignored_are_refused(study, capsys, options, message):
    with pytest.raises(SystemExit):
        study(*options)
    assert message in capsys.readouterr().err


@pytest.mark.slow
def test_records_are_kept_cell_by_cell_and_make_the_report(bench, study, tmp_path):
    records = str(tmp_path / 'docs' / 'tiny.json')
    study()
    study('--records', records)  # those that are done already are kept, too
    report = (bench.out / 'report.md').read_text()
    shutil.rmtree(bench.out)
    assert '(4 done)' in study('--records', records, '--dry-run')
    study('--records', records)  # all are done: nothing runs
    assert (bench.out / 'report.md').read_text() == report
    table = (bench.out / 'summary.csv').read_text()

    shutil.rmtree(bench.out)
    path = bench.folder / 'tiny.yaml'
    path.write_text(path.read_text().replace('lift: 10.0', 'lift: 20.0'))
    with pytest.raises(SystemExit, match=r'2 cells of another config, as lifted/seed0: .*commit'):
        study('--records', records)
    study('--records', records, '--collect')  # what was measured stays what it was
    assert (bench.out / 'summary.csv').read_text() == table
    told = (bench.out / 'report.md').read_text()
    assert '**Cells are of another config than the study has now, ' in told
    assert 'kept them: lifted/seed0, lifted/seed1.**' in told

    study('--only', 'lifted*')  # done anew: these count
    study('--records', records, '--collect')
    assert '+20.00' in (told := (bench.out / 'report.md').read_text())
    assert 'another config' not in told


def test_cells_of_another_config_are_told_although_records_stand_for_them(bench, study, tmp_path):
    records = str(tmp_path / 'tiny.json')
    study('--records', records)
    path = bench.folder / 'tiny.yaml'
    path.write_text(path.read_text().replace('lift: 10.0', 'lift: 20.0'))
    with pytest.raises(SystemExit, match='2 cells are of another config and left out'):
        study('--records', records, '--collect')
    told = (bench.out / 'report.md').read_text()
    assert 'kept them: lifted/seed0, lifted/seed1.**' in told
    assert 'Not in the tables' not in told

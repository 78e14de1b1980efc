import resource
import threading
import time

import pytest

from vit_plugins.studies import cell_folder
from vit_plugins.studies.cell_folder import cell_state, locked, read_json, read_logs, remove_cell
from vit_plugins.studies.cell_runner import CellError, CellRunner, git_commit


def states(bench, cells, data_root=None):
    return [cell_state(cell, bench.out / cell.name, data_root) for cell in cells]


def test_a_grid_runs_and_leaves_records(bench):
    cells = bench.cells()
    assert states(bench, cells) == ['todo'] * 4
    assert bench.runner(data_root='/photos').run_all(cells, jobs=2) == []
    assert states(bench, cells) == ['done'] * 4
    record = read_json(bench.out / 'lifted/seed1/record.json')
    assert record['metrics'] == {'accuracy/top1': 40 + 10 + 1 + 8}
    assert (record['levels'], record['seed']) == ({'model': 'lifted'}, 1)
    assert record['seconds_per_step'] == 0.5
    assert record['steps'] == 12
    # a process starts with the memory of the one that starts it, here pytest
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    assert 1 < record['peak_rss_mb'] < 1000 + own
    assert record['wall_seconds'] > 0
    assert record['cpu_seconds'] > 0
    assert record['fingerprint'] == cells[3].fingerprint
    assert record['commit'] == git_commit()
    assert not record['resumed']
    assert record['stages'][0]['curves']['accuracy/top1'] == [[1, 62], [2, 63], [3, 64]]
    assert 'training /photos None' in (bench.out / 'lifted/seed1/log.txt').read_text()
    assert sum('accuracy/top1 59' in line for line in bench.told) == 1


def test_validation_can_be_what_counts(bench):
    (cell,) = bench.cells('base: base.py\naxes: {model: {a: {}}}\nseeds: [0]\nmeasure: val\n')
    assert bench.runner().run(cell)['metrics'] == {'accuracy/top1': 53}


def test_stages_start_from_one_another_and_add_up(bench):
    (cell,) = bench.cells("""
        base: base.py
        axes: {size: {both: {_stages_: [{model.hidden.width: 4}, {train_cfg.max_epochs: 1}]}}}
        seeds: [0]
        tests: {full: {}, narrow: {model.hidden.width: 1}}
        metric: ["full:accuracy/top1", "narrow:accuracy/top1"]
        """)
    record = bench.runner().run(cell)
    assert record['metrics'] == {'full:accuracy/top1': 48, 'narrow:accuracy/top1': 41}
    assert record['steps'] == 12 + 4
    log = (bench.out / 'both/seed0/log.txt').read_text()
    assert f'training None {bench.out}/both/seed0/stage1/epoch_3.pth' in log


@pytest.mark.parametrize(('step', 'words'), [('train', 'no gradient'), ('test', 'no test today')])
def test_a_failed_cell_is_told_and_others_go_on(bench, step, words):
    cells = bench.cells(f"""
        base: base.py
        axes: {{model: {{bad: {{fail: {step}}}, good: {{}}}}}}
        seeds: [0]
        """)
    assert bench.runner().run_all(cells) == ['bad/seed0']
    assert states(bench, cells) == ['failed', 'done']
    assert words in ''.join(bench.told)
    assert 'exit code 1' in ''.join(bench.told)


def test_a_metric_that_is_not_measured_fails_the_cell(bench):
    (cell,) = bench.cells('base: base.py\naxes: {m: {a: {}}}\nseeds: [0]\nmetric: accuracy/top5\n')
    with pytest.raises(CellError, match='no metric accuracy/top5; measured: accuracy/top1'):
        bench.runner().run(cell)


def waits(bench, **kwargs):
    """Start a cell that waits after its first epoch, in a thread; return when it waits."""
    (cell,) = bench.cells(f"""
        base: base.py
        options: {{wait_for: {bench.folder / 'go'}}}
        axes: {{model: {{a: {{}}}}}}
        seeds: [0]
        """)
    runner = bench.runner(**kwargs)
    unfinished: list[str] = []
    thread = threading.Thread(target=lambda: unfinished.extend(runner.run_all([cell])))
    thread.start()
    while not (bench.out / 'a/seed0/stage1/epoch_1.pth').exists():
        assert thread.is_alive()
        time.sleep(0.02)
    return cell, runner, thread, unfinished


def test_a_stopped_cell_resumes_from_its_checkpoint(bench):
    cell, runner, thread, unfinished = waits(bench)
    assert states(bench, [cell]) == ['busy']
    with pytest.raises(CellError, match='another process'):
        bench.runner().run(cell)
    runner.stop()
    thread.join(10)
    assert unfinished == ['a/seed0']
    assert states(bench, [cell]) == ['unfinished']
    (bench.folder / 'go').touch()
    record = bench.runner().run(cell)
    assert record['resumed']
    assert record['stages'][0]['attempts'] == 2
    stage = bench.out / 'a/seed0/stage1'
    assert [len((f).read_text().splitlines()) for f in sorted(stage.glob('*/vis_data/*'))] == [
        2,
        4,
    ]
    assert record['stages'][0]['curves']['accuracy/top1'] == [(1, 51), (2, 52), (3, 53)]
    assert states(bench, [cell]) == ['done']


def test_a_training_that_outlived_its_study_keeps_the_cell(bench):
    """The training process inherits the lock: closing ours does not release it."""
    cell, runner, thread, _ = waits(bench)
    folder = bench.out / cell.name
    with locked(folder) as lock:
        assert lock is None
    (process,) = runner._processes
    process.kill()
    thread.join(10)
    with locked(folder) as lock:
        assert lock is not None


def test_another_config_or_other_images_are_a_change(bench):
    cells = bench.cells()
    bench.runner(data_root='/photos').run(cells[0])
    first = bench.out / cells[0].name
    assert states(bench, cells[:1], '/photos') == ['done']
    assert states(bench, cells[:1], None) == ['done']
    assert states(bench, cells[:1], '/other') == ['changed']
    assert 'trained on /photos, not on /other' in cell_folder.describe_change(
        cells[0], first, '/other'
    )
    path = bench.folder / 'base.py'
    path.write_text(path.read_text().replace('max_epochs=3', 'max_epochs=4'))
    again = bench.cells()
    assert states(bench, again) == ['changed', 'todo', 'todo', 'todo']
    remove_cell(first)
    assert states(bench, again) == ['todo'] * 4


def test_nothing_is_mixed_when_run_all_the_same(bench):
    (cell, *_) = bench.cells()
    bench.runner(data_root='/photos').run(cell)
    (bench.out / cell.name / 'record.json').unlink()
    with pytest.raises(CellError, match='begun with --data-root /photos: give that again'):
        bench.runner().run(cell)
    with pytest.raises(CellError, match='trained on /photos, not on /other'):
        bench.runner(data_root='/other').run(cell)
    (other, *_) = bench.cells(
        bench.text.replace('base: base.py', 'base: base.py\noptions: {fail: x}')
    )
    with pytest.raises(CellError, match='its config was another'):
        bench.runner(data_root='/photos').run(other)


def test_a_cell_that_another_study_finished_is_not_run_again(bench):
    (cell, *_) = bench.cells()
    bench.runner().run(cell)
    log = (bench.out / cell.name / 'log.txt').read_text()
    assert bench.runner().run(cell) == read_json(bench.out / cell.name / 'record.json')
    assert (bench.out / cell.name / 'log.txt').read_text() == log


def test_only_the_folder_of_a_cell_is_removed(bench):
    with pytest.raises(ValueError, match='not the folder of a cell'):
        remove_cell(bench.folder)


def test_threads_and_package_reach_the_process(bench):
    bench.cells()
    runner = CellRunner(bench.study, bench.out, threads=3)
    assert runner.environment['OMP_NUM_THREADS'] == '3'
    assert runner.train[1].endswith('tools/train.py')
    assert runner.train[2:] == ['--no-baselines']  # no record contains them


def test_logs_of_a_crash_count_once(tmp_path):
    texts = {
        'a': '{"lr": 1, "loss": 2.0, "time": 1.0, "step": 4, "epoch": 1, "memory": 70}\n'
        '{"accuracy/top1": 10, "time": 5, "step": 1}\n'
        '{"lr": 1, "loss": 9.0, "time": 3.0, "step": 8, "epoch": 2, "memory": 99}\n'
        '{"accuracy/top1": 99, "step": 2}\n{"lr": 1, "lo',
        'b': '{"lr": 1, "loss": 1.0, "time": 2.0, "step": 8, "epoch": 2, "memory": 80}\n'
        '{"accuracy/top1": 20, "time": 5, "data_time": 1, "step": 2}\n',
    }
    for name, text in texts.items():
        (tmp_path / name / 'vis_data').mkdir(parents=True)
        (tmp_path / name / 'vis_data/scalars.json').write_text(text)
    assert read_logs(tmp_path) == {
        'curves': {'loss': [(1, 2.0), (2, 1.0)], 'accuracy/top1': [(1, 10), (2, 20)]},
        'last_losses': {'loss': 1.0},
        'metrics': {'accuracy/top1': 20},
        'epochs': 2,
        'steps': 8,
        'seconds_per_step': 1.5,
        'cuda_memory_mb': 80,
    }


def test_no_logs(tmp_path):
    found = read_logs(tmp_path)
    assert (found['metrics'], found['seconds_per_step'], found['steps']) == ({}, None, 0)

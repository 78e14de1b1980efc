"""The results of a stage whose time is up: benchmark cases, cells of a study, tests."""

import json

import pytest

from vit_plugins.benchmarks.gpu_suite.benches import Bench
from vit_plugins.benchmarks.gpu_suite.gpu_tests import LONGEST, collect_tests
from vit_plugins.benchmarks.gpu_suite.running import run_stage
from vit_plugins.benchmarks.gpu_suite.stage import Stage
from vit_plugins.benchmarks.gpu_suite.trainings import collect_study, write_study
from vit_plugins.studies.cell_folder import BEGUN, ENDED
from vit_plugins.studies.grid import make_cells, read_study


def test_whole_cases_of_a_benchmark_count(make_job):
    bench = Bench(('model', 'gpsa'), only='small 224 px, batch 128')
    job = make_job()
    rows = [
        {'case': 'ConViT-small 224 px, batch 128, forward', 'sides': {}},
        {'case': 'ConViT-small 224 px, batch 128, forward+backward', 'error': 'no memory'},
    ]
    (job.work / 'bench.json').write_text(json.dumps({'cases': rows}))
    found = bench.collect(job)
    assert found['whole'] == ['ConViT-small 224 px, batch 128, forward']
    assert found['missing'] == ['ConViT-small 224 px, batch 128, forward+backward']


@pytest.mark.parametrize(
    ('found', 'status'),
    [
        ({'whole': ['a'], 'missing': ['b']}, 'partial'),
        ({'whole': [], 'missing': ['a', 'b']}, 'timeout'),
        ({'whole': ['a', 'b'], 'missing': []}, 'passed'),  # it only had to end
        ({'steps': 3}, 'timeout'),
    ],
)
def test_status_of_a_stage_that_was_ended(found, status, make_job, tmp_path):
    stage = Stage('7', 'script', 'a script', 60, lambda job: ['sleep', '60'], lambda job: found)
    result = run_stage(stage, make_job(seconds=0.05), {}, tmp_path / 'log.txt')
    assert (result['status'], result['results']) == (status, found)


def test_unfinished_cells_tell_how_far_they_are(make_job):
    job = make_job()
    study = write_study(job, 'drloc/on_off_gpu_cifar10.yaml')
    first, second, *others = make_cells(read_study(study))
    for cell in (first, second):
        logs = job.work / 'cells' / cell.name / 'stage1' / 'a' / 'vis_data'
        logs.mkdir(parents=True)
        lines = [f'{{"lr": 1, "loss": 2.0, "time": 0.5, "step": {i}}}\n' for i in (50, 100)]
        (logs / 'scalars.json').write_text(''.join(lines))
        whose = {'fingerprint': cell.fingerprint, 'levels': cell.levels, 'seed': 0}
        folder = job.work / 'cells' / cell.name
        (folder / BEGUN).write_text(json.dumps({**whose, 'data_root': None}))
        (folder / 'log.txt').write_text(''.join(f'line {i}\n' for i in range(9)))
    record = {**whose, 'metrics': {'accuracy/top1': 50.0}, 'data_root': None}
    (job.work / 'cells' / second.name / ENDED).write_text(json.dumps(record))
    found = collect_study(job)
    assert found['whole'] == [second.name]
    assert found['missing'] == [first.name, *(cell.name for cell in others)]
    assert found['cells'][second.name]['metrics'] == {'accuracy/top1': 50.0}
    far = found['unfinished'][first.name]
    assert (far['steps'], far['seconds_per_step'], far['last_losses']) == (100, 0.5, {'loss': 2.0})
    assert far['log'] == [f'line {i}' for i in range(4, 9)]
    assert found['unfinished'][others[0].name]['steps'] == 0


def test_failed_tests_are_told_in_short_with_their_places(make_job):
    job = make_job()
    text = 'tests/test_a.py:12: in test_x\n    f()\nvit_plugins/b.py:3: in f\nE   no'
    (job.work / 'tests.xml').write_text(
        '<testsuites><testsuite tests="2" failures="1" errors="0" skipped="0">'
        f'<testcase classname="a" name="x"><failure message="{"long " * 999}">{text}</failure>'
        '</testcase><testcase classname="a" name="y"/></testsuite></testsuites>'
    )
    (failed,) = collect_tests(job)['failed'].values()
    assert failed['message'].startswith('long long')
    assert len(failed['message']) == LONGEST
    assert failed['at'] == ['tests/test_a.py:12', 'vit_plugins/b.py:3']

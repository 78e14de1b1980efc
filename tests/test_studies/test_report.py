import csv

import numpy as np
import pytest
from PIL import Image

from vit_plugins.studies.model_cost import ModelCost
from vit_plugins.studies.report import (
    difference_rows,
    group_records,
    summary_rows,
    write_report,
)

GRID = """
name: fractions
about: What it is.
base: base.py
axes:
  model: {vit: {}, convit: {model.lift: 1}}
  fraction: {10%: {fail: a}, 100%: {fail: b}}
seeds: [0, 1, 2]
compare: {axis: model, baseline: vit}
plot: {x: fraction, label: training data (%)}
"""
# accuracy of seeds 0, 1, 2
VALUES = {
    ('vit', '10%'): (30, 32, 34),
    ('vit', '100%'): (60, 61, 62),
    ('convit', '10%'): (33, 36, 37),
    ('convit', '100%'): (60.5, 61, 62.5),
}


def record(levels, seed, value):
    curve = [[1, value / 2], [2, value]]
    curves = {'accuracy/top1': curve, 'loss': [[1, 2.0], [2, 1.0]]}
    return {
        'levels': dict(zip(('model', 'fraction'), levels, strict=True)),
        'seed': seed,
        'metrics': {'accuracy/top1': value},
        'wall_seconds': 10.0 + seed,
        'cpu_seconds': 9.0,
        'seconds_per_step': 0.25,
        'peak_rss_mb': 700.4,
        'cuda_memory_mb': None,
        'steps': 8,
        'resumed': levels == ('vit', '10%') and seed == 2,
        'commit': 'abc',
        'fingerprint': 'f',
        'data_root': '/photos',
        'stages': [{'curves': curves, 'epochs': 2, 'steps': 8}],
    }


@pytest.fixture
def records():
    return {
        f'{"/".join(levels)}/seed{seed}': record(levels, seed, value)
        for levels, values in reversed(VALUES.items())
        for seed, value in reversed(list(enumerate(values)))
    }


@pytest.fixture
def study(bench):
    bench.cells(GRID)
    return bench.study


def test_groups_follow_the_order_of_the_file(study, records):
    groups = group_records(study, records)
    assert list(groups) == list(VALUES)
    assert [list(seeds) for seeds in groups.values()] == [[0, 1, 2]] * 4


def test_summary(study, records):
    row = summary_rows(study, records)[0]
    assert (row['model'], row['fraction'], row['n']) == ('vit', '10%', 3)
    assert (row['accuracy/top1 mean'], row['accuracy/top1 std']) == (32, 2)
    assert (row['wall_seconds'], row['seconds_per_step']) == (11, 0.25)
    assert 'cuda_memory_mb' not in row


def test_differences_pair_seeds_within_the_other_axes(study, records):
    ten, all_data = difference_rows(study, records)
    assert (ten['difference'], ten['fraction']) == ('convit - vit', '10%')
    assert (ten['n'], ten['mean']) == (3, pytest.approx(10 / 3))  # 3, 4, 3
    assert (all_data['mean'], all_data['n']) == (pytest.approx(1 / 3), 3)  # 0.5, 0, 0.5
    assert all_data['low'] < 0 < all_data['high']
    assert ten['low'] > 0


def test_seeds_that_one_side_lacks_do_not_count(study, records):
    del records['vit/10%/seed1']
    assert [row['n'] for row in difference_rows(study, records)] == [2, 3]
    for seed in (0, 2):
        del records[f'vit/10%/seed{seed}']
    assert [row['fraction'] for row in difference_rows(study, records)] == ['100%']


def test_report(study, records, tmp_path):
    out = tmp_path / 'report'
    out.mkdir()
    missing = {'vit/1%/seed0': 'failed'}
    text = write_report(study, records, out, missing, 'python tools/study.py x').read_text()
    assert text.startswith('# fractions\n\nWhat it is.\n')
    assert '| vit | 10% | 3 | 32.00 ± 2.00 | 0.250 | 700 | 11 | 9 |' in text
    assert '| 10% | convit - vit | 3 | +3.33 ± 0.58 | +1.90 to +4.77 |' in text
    assert 'Not in the tables, 1 cells: vit/1%/seed0 (failed).' in text
    assert 'Resumed, so that their time is of the last attempt: vit/10%/seed2.' in text
    assert 'Code: abc' in text
    assert 'different images' not in text
    for name in ('curves_accuracy_top1.png', 'accuracy_top1_against_fraction.png'):
        assert f'({name})' in text
        assert np.asarray(Image.open(out / name).convert('L')).std() > 5
    with (out / 'cells.csv').open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 12
    assert {row['accuracy/top1'] for row in rows if row['model'] == 'vit'} == {
        *map(str, (30, 32, 34, 60, 61, 62))
    }
    assert sum(1 for _ in (out / 'differences.csv').open()) == 3
    assert sum(1 for _ in (out / 'summary.csv').open()) == 5


def test_report_of_one_seed_and_of_mixed_images(study, records, tmp_path):
    records = {name: r for name, r in records.items() if r['seed'] == 0}
    records['vit/10%/seed0']['data_root'] = '/others'
    text = write_report(study, records, tmp_path, {}, '').read_text()
    assert '| vit | 10% | 1 | 30.00 | ' in text
    assert '| 10% | convit - vit | 1 | +3.00 | - |' in text
    assert '**Cells were trained on different images: /others, /photos.**' in text
    assert 'nan' not in text


def test_report_with_what_the_models_cost(study, records, tmp_path):
    costs = {
        ('vit', '10%'): ModelCost(5_717_416, 1.2537),
        ('vit', '100%'): ModelCost(5_717_416, 1.2537),
        ('convit', '10%'): ModelCost(5_710_512, 17.487),
        ('convit', '100%'): ModelCost(problem='no such head'),
    }
    row = summary_rows(study, records, costs)[2]
    assert (row['parameters'], row['gmacs']) == (5_710_512, 17.487)
    text = write_report(study, records, tmp_path, {}, '', costs).read_text()
    assert '| accuracy/top1 | parameters | GMACs | s/step |' in text
    assert '| vit | 10% | 3 | 32.00 ± 2.00 | 5,717,416 | 1.25 | 0.250 |' in text
    assert '| 35.33 ± 2.08 | 5,710,512 | 17.5 |' in text
    assert '| convit | 100% | 3 | 61.33 ± 1.04 | - | - | 0.250 |' in text
    assert 'Not counted for convit, 100%: no such head.' in text
    assert '(accuracy_top1_against_gmacs.png)' in text
    with (tmp_path / 'summary.csv').open() as file:
        assert [row['gmacs'] for row in csv.DictReader(file)] == ['1.2537', '1.2537', '17.487', '']


def test_report_of_models_that_cost_the_same_has_no_picture_of_it(study, records, tmp_path):
    costs = dict.fromkeys(VALUES, ModelCost(5, 0.1))
    assert (
        '_against_gmacs' not in write_report(study, records, tmp_path, {}, '', costs).read_text()
    )
    assert not list(tmp_path.glob('*_against_gmacs.png'))

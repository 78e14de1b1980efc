import csv
import math

import numpy as np
import pytest
from PIL import Image

from vit_plugins.studies.figures import draw_against, draw_learning_curves, mean_curve
from vit_plugins.studies.report import (
    difference_rows,
    group_records,
    joined_curve,
    level_value,
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
        'stages': [{'curves': {'accuracy/top1': curve}, 'epochs': 2}],
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


def test_curves_of_stages_are_joined():
    stages = [
        {'curves': {'accuracy/top1': [[2, 10.0], [4, 20.0]]}, 'epochs': 4},
        {'curves': {'accuracy/top1': [[1, 25.0]]}, 'epochs': 1},
    ]
    joined = joined_curve({'stages': stages}, 'accuracy/top1')
    assert joined == [(2, 10.0), (4, 20.0), (5, 25.0)]


def test_mean_curve_of_the_steps_that_all_have():
    steps, means, deviations = mean_curve([[(1, 2.0), (2, 4.0)], [(1, 4.0), (2, 4.0), (3, 9.0)]])
    assert steps.tolist() == [1, 2]
    assert means.tolist() == [3, 4]
    assert deviations == pytest.approx([math.sqrt(2), 0])


def test_figures_hold_the_numbers():
    figure = draw_learning_curves({'a': [[(1, 2.0), (2, 3.0)]]}, 'accuracy/top1')
    (line,) = figure.axes[0].lines
    assert line.get_xydata().tolist() == [[1, 2], [2, 3]]
    figure = draw_against({'a': {100: [60.0, 62.0], 5: [30.0]}}, 'data', 'top1')
    axes = figure.axes[0]
    assert axes.get_xscale() == 'log'
    assert axes.lines[0].get_xydata().tolist() == [[5, 30], [100, 61]]


@pytest.mark.parametrize(
    ('name', 'settings', 'value'),
    [('10%', {}, 10), ('0.5', {}, 0.5), ('small', {'_x_': 1.3}, 1.3), ('7', {'_x_': 2}, 2)],
)
def test_number_of_a_level(name, settings, value):
    assert level_value(name, settings) == value


def test_level_that_is_no_number():
    with pytest.raises(ValueError, match="'small' is no number to plot against: give it _x_"):
        level_value('small', {})

import json

import pytest

from vit_plugins.report.charts import HEIGHT, LEFT, RIGHT, TOP, WIDTH, Line, line_chart, ticks
from vit_plugins.report.curves import read_curves
from vit_plugins.report.inside_history import inside_charts
from vit_plugins.report.run_charts import compared_charts, run_charts


def log(folder, name, rows):
    (folder / name / 'vis_data').mkdir(parents=True)
    lines = '\n'.join(map(json.dumps, rows))
    (folder / name / 'vis_data' / 'scalars.json').write_text(lines + '\n{"cut o')


def training(epoch, loss, time=1.0):
    return dict(lr=0.1, loss=loss, time=time, epoch=epoch, iter=10 * epoch, step=10 * epoch)


def test_what_a_later_run_did_again_counts(tmp_path):
    before = {'raw_pixels/Recall@1': 0.9, 'step': 0}
    first = [
        before,
        training(1, 4.0),
        {'acc': 1, 'step': 1},
        training(2, 3.0),
        {'acc': 2, 'step': 2},
    ]
    log(tmp_path, '2026_a', first)
    log(tmp_path, '2026_b', [training(2, 2.5), {'acc': 5, 'step': 2}])
    found = read_curves(tmp_path, 'epoch')
    assert found.losses == {'loss': [(1, 4.0), (2, 2.5)]}
    assert found.metrics == {'acc': [(1, 1.0), (2, 5.0)]}
    assert found.before == {'raw_pixels/Recall@1': 0.9}
    assert found.seconds == 20.0


def test_lines_of_an_epoch_are_averaged_and_steps_are_not(tmp_path):
    rows = [training(1, 4.0), {**training(1, 2.0), 'step': 12}]
    log(tmp_path, '2026', rows)
    assert read_curves(tmp_path, 'epoch').losses == {'loss': [(1, 3.0)]}
    assert read_curves(tmp_path, 'step').losses == {'loss': [(10, 4.0), (12, 2.0)]}


def test_a_chart_begins_and_ends_at_its_corners():
    chart = line_chart('t', 'epoch', [Line('a', [(1, 0.0), (5, 10.0)])], mark=3)
    (path,) = chart.paths
    assert path.startswith(f'M{LEFT:.1f}')
    assert path.endswith(f'L{WIDTH - RIGHT:.1f} {TOP:.1f}')
    assert chart.mark == pytest.approx((LEFT + WIDTH - RIGHT) / 2)
    places = [y for y, _ in chart.y_ticks]
    assert places == sorted(places, reverse=True)
    assert all(0 < y < HEIGHT for y in places)


def test_a_chart_needs_a_point():
    with pytest.raises(ValueError, match='t: there is no point to plot'):
        line_chart('t', 'epoch', [Line('a', [])])


@pytest.mark.parametrize('limits', [(0, 1), (-3e-5, 2e-5), (99.1, 99.4), (0, 12345)])
def test_ticks_are_round_and_cover_the_range(limits):
    found = ticks(*limits, 5)
    assert found[0] <= limits[0] < limits[1] <= found[-1]
    assert 3 <= len(found) <= 8


def test_diverged_losses_leave_the_other_charts(tmp_path):
    epochs = [[training(i, float('nan')), {'acc': i, 'step': i}] for i in (1, 2)]
    log(tmp_path, '2026', [*epochs[0], *epochs[1], {'once': 1, 'step': 2}])
    titles = [chart.title for chart in run_charts(read_curves(tmp_path, 'epoch'))]
    assert titles == ['Validation', 'Learning rate']


def test_several_trainings_share_a_chart_of_what_both_measured(tmp_path):
    log(tmp_path / 'a', '1', [training(1, 4.0), {'acc': 1, 'only/a': 1, 'step': 1}])
    log(tmp_path / 'b', '1', [training(1, 3.0), {'acc': 2, 'step': 1}])
    runs = [(name, read_curves(tmp_path / name, 'epoch')) for name in 'ab']
    charts = {chart.title: [line.name for line in chart.lines] for chart in compared_charts(runs)}
    assert charts == {'acc': ['a', 'b'], 'Training loss': ['a', 'b']}


def test_measurements_that_are_no_numbers_are_left_out(tmp_path):
    points = [{'step': i, 'layers': ['layers.0.attn'], 'gates': [[0.5, g]]} for i, g in
              enumerate((0.7, None, 0.9))]  # fmt: skip
    (tmp_path / 'gates.json').write_text(json.dumps({'counted': 'epoch', 'points': points}))
    errors = [{'step': 0, 'rows': 1.0, 'columns': None}, {'step': 1, 'rows': 2.0, 'columns': 3.0}]
    (tmp_path / 'offset_error.json').write_text(json.dumps({'counted': 'epoch', 'points': errors}))
    gates, offsets = inside_charts(tmp_path)
    assert [line.points for line in gates.lines] == [[(0, 0.6), (2, 0.7)]]
    assert sorted(len(line.points) for line in offsets.lines) == [1, 2]

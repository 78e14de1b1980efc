import math

import numpy as np
import pytest

from vit_plugins.studies.pictures import cost_series, counted, joined_curve
from vit_plugins.visualization.curves import (
    mean_curve,
    plot_against,
    plot_against_cost,
    plot_mean_curves,
)


def test_curves_of_stages_are_joined():
    stages = [
        {'curves': {'accuracy/top1': [[2, 10.0], [4, 20.0]]}, 'epochs': 4},
        {'curves': {'accuracy/top1': [[1, 25.0]]}, 'epochs': 1},
    ]
    joined = joined_curve({'stages': stages}, 'accuracy/top1')
    assert joined == [(2, 10.0), (4, 20.0), (5, 25.0)]


@pytest.mark.parametrize(
    ('losses', 'unit'),
    [
        ([[1, 2.0], [1, 1.5], [2, 1.0]], 'epoch'),  # 8 steps of 2 epochs
        ([[4, 2.0], [8, 1.0]], 'step'),  # by_epoch=False: the log has no epochs
    ],
)
def test_what_curves_count(losses, unit):
    stage = {'curves': {'loss': losses}, 'steps': 8}
    assert counted({('a',): {0: {'stages': [stage]}}}) == unit
    figure = plot_mean_curves({'a': [[(1, 2.0)]]}, 'top1', unit)
    assert figure.axes[0].get_xlabel() == unit


def test_mean_curve_of_the_steps_that_all_have():
    steps, means, deviations = mean_curve([[(1, 2.0), (2, 4.0)], [(1, 4.0), (2, 4.0), (3, 9.0)]])
    assert steps.tolist() == [1, 2]
    assert means.tolist() == [3, 4]
    assert deviations == pytest.approx([math.sqrt(2), 0])


def test_names_beside_the_lines_do_not_overlap():
    """For four lines that end together, the names keep their order and a gap."""
    groups = {str(i): [[(1, 2.0), (2, 3.0 + 0.001 * i)]] for i in range(4)}
    (axes,) = plot_mean_curves(groups, 'top1').axes
    heights = [text.xy[1] for text in axes.texts]
    low, high = axes.get_ylim()
    assert np.diff(heights) == pytest.approx(0.05 * (high - low) * np.ones(3), rel=1e-2)
    assert np.mean(heights) == pytest.approx(3.0015, abs=1e-6)
    colours = [text.get_color() for text in axes.texts]
    assert colours == [line.get_color() for line in axes.lines]


def test_learning_curves_are_told_apart(tmp_path):
    """A few lines have labels, seven a legend inside, thirty a legend below; all differ."""
    for number in (4, 7, 30):
        names = [f'convit, 3 of 4 layers, {i}%' for i in range(number)]
        figure = plot_mean_curves({name: [[(1, 2.0), (2, 3.0)]] for name in names}, 'top1')
        (axes,) = figure.axes
        looks = {(line.get_color(), line.get_linestyle()) for line in axes.lines}
        assert len(looks) == number
        below = [text.get_text() for legend in figure.legends for text in legend.get_texts()]
        assert below == (names if number == 30 else [])
        assert (axes.get_legend() is None) == (number != 7)
        assert [text.get_text() for text in axes.texts] == (names if number == 4 else [])
    figure.draw_without_rendering()
    legend, plot = figure.legends[0].get_window_extent(), axes.get_window_extent()
    assert legend.y1 < plot.y0  # below, not over the curves
    assert legend.x0 >= 0
    assert legend.x1 <= figure.bbox.x1
    assert plot.height > 300


def test_figures_hold_the_numbers():
    figure = plot_mean_curves({'a': [[(1, 2.0), (2, 3.0)]]}, 'accuracy/top1')
    (line,) = figure.axes[0].lines
    assert line.get_xydata().tolist() == [[1, 2], [2, 3]]
    figure = plot_against({'a': {100: [60.0, 62.0], 5: [30.0]}}, 'data', 'top1')
    axes = figure.axes[0]
    assert axes.get_xscale() == 'log'
    assert axes.lines[0].get_xydata().tolist() == [[5, 30], [100, 61]]
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ['5', '100']


def test_marks_on_the_axis_do_not_run_into_each_other():
    axes = plot_against({'': {5000: [1.0], 5010: [2.0], 50000: [3.0]}}, 'images', 'top1').axes[0]
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ['5000', '50000']


# --- against the cost ---------------------------------------------------------------------------

LEVELS = {
    ('vit', '5%'): (0.2, [30.0, 32.0]),
    ('convit', '5%'): (0.3, [40.0, 44.0]),
    ('vit', '100%'): (0.2, [80.0]),
    ('convit', '100%'): (0.3, [85.0]),
    ('resnet', '100%'): (0.1, [86.0]),
}


def series_of(levels: dict) -> dict:
    groups = {
        key: {seed: {'metrics': {'top1': value}} for seed, value in enumerate(values)}
        for key, (_, values) in levels.items()
    }
    gmacs = {key: cost for key, (cost, _) in levels.items() if cost is not None}
    return cost_series(groups, gmacs, 'top1')


def test_lines_follow_the_axes_that_cost_nothing():
    assert series_of(LEVELS) == {
        '5%': {'vit': (0.2, [30, 32]), 'convit': (0.3, [40, 44])},
        '100%': {'vit': (0.2, [80]), 'convit': (0.3, [85]), 'resnet': (0.1, [86])},
    }


def test_lines_of_a_single_axis_and_of_no_pair():
    assert series_of({('a',): (0.1, [1]), ('b',): (0.2, [2]), ('c',): (None, [3])}) == {
        '': {'a': (0.1, [1]), 'b': (0.2, [2])}
    }
    assert series_of({('a', 'x'): (0.1, [1]), ('b', 'y'): (0.2, [2])}) == {
        '': {'a, x': (0.1, [1]), 'b, y': (0.2, [2])}
    }


def test_picture_against_the_cost():
    figure = plot_against_cost(series_of(LEVELS), 'top1')
    (axes,) = figure.axes
    lines = {line.get_linestyle() for line in axes.lines}
    joined = [line.get_xydata().tolist() for line in axes.lines if line.get_linestyle() == '-']
    assert [[0.2, 31], [0.3, 42]] in joined
    assert [[0.1, 86], [0.2, 80], [0.3, 85]] in joined
    assert lines <= {'-', 'None'}
    points = [line for line in axes.lines if line.get_marker() in 'os^' and len(line.get_xdata())]
    assert len(points) == 5
    assert len({(line.get_marker(), line.get_color()) for line in points}) == 5
    models = [text.get_text() for text in figure.legends[0].get_texts()]
    assert models == ['vit', 'convit', 'resnet']
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ['5%', '100%']
    assert axes.get_xscale() == 'linear'


def test_picture_against_the_cost_of_models_alone():
    figure = plot_against_cost({'': {'a': (0.1, [1.0]), 'b': (0.9, [2.0])}}, 'top1')
    (axes,) = figure.axes
    assert axes.get_legend() is None
    assert axes.get_xscale() == 'log'
    assert not any(
        line.get_linestyle() == '-' and len(line.get_xdata()) > 1 for line in axes.lines
    )

"""The content of the pictures of the inside of a model."""

import io

import numpy as np
import pytest
from matplotlib.colors import LogNorm

from vit_plugins.visualization.attention import plot_attention, plot_overlays
from vit_plugins.visualization.embedding_weights import plot_filters, plot_position_similarity
from vit_plugins.visualization.embeddings import plot_photo_scatter
from vit_plugins.visualization.gates import gate_colour, plot_gate_dynamics, plot_gates
from vit_plugins.visualization.locality import plot_nonlocality, plot_nonlocality_dynamics
from vit_plugins.visualization.offsets import plot_offset_errors, plot_offsets

IMAGE = np.zeros((8, 12, 3), np.uint8)


def test_dynamics_have_a_panel_for_each_layer_heads_in_colours_and_the_mean_in_black():
    gates = np.random.default_rng(0).random((5, 2, 3))
    figure = plot_gate_dynamics(range(5), gates, ['a', 'b'])
    assert [axes.get_title() for axes in figure.axes] == ['a', 'b']
    for number, axes in enumerate(figure.axes):
        start, *heads, mean = axes.lines
        assert list(start.get_ydata()) == pytest.approx([1 / (1 + np.exp(-1))] * 2)
        assert len({line.get_color() for line in heads}) == 3
        for head, line in enumerate(heads):
            np.testing.assert_array_equal(line.get_ydata(), gates[:, number, head])
        assert mean.get_color() == 'black'
        np.testing.assert_allclose(mean.get_ydata(), gates[:, number].mean(-1))


def test_gates_stand_in_a_table_of_layers_and_heads():
    figure = plot_gates(np.array([[0.0, 0.25], [0.75, 1.0]]), ['x', 'y'])
    axes = figure.axes[0]
    assert [text.get_text() for text in axes.texts] == ['0.00', '0.25', '0.75', '1.00']
    assert [label.get_text() for label in axes.get_yticklabels()] == ['x', 'y']


def test_nonlocality_shows_heads_mean_and_mode():
    figure = plot_nonlocality([np.array([1.0, 3.0]), np.array([4.0])], 'official', [5.0, 5.0])
    axes = figure.axes[0]
    *heads, mean, uniform = axes.lines
    assert [line.get_ydata().tolist() for line in heads] == [[1, 3], [4]]
    assert mean.get_ydata().tolist() == [2, 4]
    assert list(uniform.get_ydata()) == [5, 5]
    assert axes.get_title().startswith('official: ')


def test_models_stand_side_by_side_on_one_scale():
    values = np.arange(6.0).reshape(3, 2)
    models = {'convit': (range(3), values), 'vit': (range(3), 9 - values)}
    figure = plot_nonlocality_dynamics(models, 'propagated', 7.28)
    left, right = figure.axes
    assert (left.get_title(), right.get_title()) == ('convit', 'vit')
    assert left.get_ylim() == right.get_ylim()
    np.testing.assert_array_equal(left.lines[1].get_ydata(), values[:, 1])
    assert figure.get_suptitle().startswith('propagated')
    for plot in (plot_nonlocality, plot_nonlocality_dynamics):
        with pytest.raises(ValueError, match="mode must be one of propagated, official, got 'x'"):
            plot({}, 'x')


def test_attention_titles_have_the_colour_of_the_gate():
    maps = [np.random.default_rng(0).random((2, 4, 4)), np.ones((2, 4, 4))]
    figure = plot_attention(IMAGE, maps, ['a', 'b'], [np.array([0.0, 1.0]), None], (0.5, 0.25))
    image, first, second, third, _ = figure.axes
    assert first.get_title() == 'head 1  0.00'
    assert (first.title.get_color(), second.title.get_color()) == (gate_colour(0), gate_colour(1))
    assert gate_colour(1)[0] > 0.7 > 0.3 > gate_colour(1)[1]  # red
    assert third.get_title() == ''
    shown = first.images[0].get_array()
    assert shown.max() == maps[0][0].max()
    scale = first.images[0].norm
    assert isinstance(scale, LogNorm)
    assert (scale.vmin, scale.vmax) == pytest.approx((shown.max() / 1000, shown.max()))
    assert image.lines[0].get_xydata().tolist() == [[5.5, 1.5]]  # in pixels of 12 x 8
    assert len(plot_attention(IMAGE, [maps[0][:1]], ['a'], heads=[7]).axes) == 2


def test_overlays_stretch_each_map_over_the_image():
    figure = plot_overlays(IMAGE, [np.array([[2.0, 4.0]]), np.ones((2, 2))], ['a', 'b'])
    _, first, second = figure.axes
    assert first.images[1].get_array().tolist() == [[0, 1]]
    assert first.images[1].get_extent() == [-0.5, 11.5, 7.5, -0.5]
    assert not second.images[1].get_array().any()


def test_position_maps_lie_where_their_patch_lies():
    similarity = np.random.default_rng(0).random((2, 3, 2, 3))
    shown = plot_position_similarity(similarity).axes[0].images[0].get_array()
    assert shown.shape == (2 * 3 - 1, 3 * 4 - 1)
    np.testing.assert_array_equal(shown[3:5, 8:11], similarity[1, 2])
    many = plot_position_similarity(np.ones((32, 32, 32, 32)))  # thinned: 11 x 11 maps
    assert many.axes[0].images[0].get_array().shape == (11 * 33 - 1, 11 * 33 - 1)


@pytest.mark.parametrize('channels', [1, 3])
def test_filters_are_grey_where_they_are_zero(channels):
    components = np.zeros((2, channels, 2, 2))
    components[0, 0, 0, 0] = 0.2
    figure = plot_filters(components, [0.6, 0.4])
    first, second = (np.atleast_3d(axes.images[0].get_array()) for axes in figure.axes[:2])
    assert first[0, 0, 0] == 1
    assert first[1, 1, 0] == 0.5
    assert (second == 0.5).all()
    assert figure.axes[0].get_title() == '60.0%'


def test_offsets_lead_from_the_true_to_the_mean_prediction():
    true, mean = np.array([[0, 1], [2, 3]]), np.array([[0.5, 1.0], [2.0, 2.5]])
    figure = plot_offsets(true, mean, np.array([3, 4]), [0.25, 0.5], (4, 4))
    arrows = figure.axes[0].collections[1]
    assert (arrows.U.tolist(), arrows.V.tolist()) == ([0, -0.5], [0.5, 0])
    assert '0.25 cells along rows, 0.50 along columns' in figure.axes[0].get_title()
    lines = plot_offset_errors([0, 1], np.array([[2, 3], [1, 0.5]])).axes[0].lines
    assert [line.get_ydata().tolist() for line in lines] == [[2, 1], [3, 0.5]]


def test_photos_stand_at_their_points_with_the_colour_of_their_class(tmp_path):
    points = np.array([[0.0, 0], [1, 1], [2, 0]])
    figure = plot_photo_scatter({'PCA': points}, [IMAGE] * 3, ['a', 'b', 'a'])
    boxes = figure.axes[0].artists
    assert [tuple(box.xy) for box in boxes] == [(0, 0), (1, 1), (2, 0)]
    colours = [box.patch.get_edgecolor() for box in boxes]
    assert colours[0] == colours[2] != colours[1]
    figure.savefig(io.BytesIO(), format='png')

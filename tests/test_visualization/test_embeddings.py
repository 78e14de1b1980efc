"""The content of the pictures of descriptors."""

import numpy as np

from vit_plugins.evaluation.functional.embedding_statistics import SimilarityHistogram
from vit_plugins.visualization.embeddings import plot_energy, plot_similarities


def test_energy_is_a_curve_for_each_model_over_a_log_axis(tmp_path):
    energies = {'a': np.array([0.5, 0.75, 1.0]), 'b': np.array([0.9, 1.0])}
    figure = plot_energy(energies)
    (axes,) = figure.axes
    assert axes.get_xscale() == 'log'
    assert axes.get_xlabel() == 'principal components'
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ['a', 'b']
    for line, energy in zip(axes.lines, energies.values(), strict=True):
        np.testing.assert_array_equal(line.get_xdata(), np.arange(1, len(energy) + 1))
        np.testing.assert_array_equal(line.get_ydata(), energy)
    figure.savefig(tmp_path / 'energy.png')


def test_similarities_are_shares_of_positives_and_of_negatives_in_a_panel_for_each_model(tmp_path):
    edges = np.linspace(-1, 1, 4)
    histograms = {
        'a': SimilarityHistogram(edges, np.array([0, 1, 3]), np.array([60, 30, 10])),
        'b': SimilarityHistogram(edges, np.array([0, 0, 0]), np.array([1, 0, 0])),
    }
    figure = plot_similarities(histograms)
    assert [axes.get_ylabel() for axes in figure.axes] == ['a', 'b']
    shown = [{p.get_label(): p.get_data() for p in axes.patches} for axes in figure.axes]
    np.testing.assert_allclose(shown[0]['positives'].values, [0, 0.25, 0.75])
    np.testing.assert_allclose(shown[0]['negatives'].values, [0.6, 0.3, 0.1])
    np.testing.assert_array_equal(shown[0]['positives'].edges, edges)
    assert not shown[1]['positives'].values.any()  # no pair of one class: no division by 0
    assert figure.axes[-1].get_xlabel() == 'cosine similarity'
    figure.savefig(tmp_path / 'similarities.png')

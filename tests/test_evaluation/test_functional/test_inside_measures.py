"""Gates, position similarity, filters, offsets, points of the plane."""

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA

from vit_plugins.evaluation.functional.gate_statistics import centres_and_strengths, gate_values
from vit_plugins.evaluation.functional.offset_errors import mean_by_offset, offset_errors
from vit_plugins.evaluation.functional.patch_filters import filter_components
from vit_plugins.evaluation.functional.plane_projection import project_by_pca, project_by_tsne
from vit_plugins.evaluation.functional.position_similarity import position_similarity
from vit_plugins.models.layers.positional_attention import attention_centres, local_pos_weight


def test_gates_start_at_the_value_of_the_specification():
    for dtype in (torch.float32, torch.bfloat16):
        assert gate_values(torch.ones(3, dtype=dtype)).tolist() == pytest.approx([0.7310586] * 3)


@pytest.mark.parametrize('heads', [4, 9, 16])
def test_centres_and_strengths_of_a_fresh_layer_are_those_it_was_made_of(heads):
    centres, strengths = centres_and_strengths(local_pos_weight(heads, 0.5))
    torch.testing.assert_close(centres, torch.tensor(attention_centres(heads)))
    assert strengths.tolist() == [0.5] * heads
    # Section 3.2 of the specification: what the official log starts with.
    norms = {round(value, 4) for value in centres.norm(dim=1).tolist()}
    expected = {4: {0.7071}, 9: {0.0, 1.0, 1.4142}, 16: {0.7071, 1.5811, 2.1213}}
    assert norms == expected[heads]


def test_a_head_that_looks_away_has_no_centre():
    centres, strengths = centres_and_strengths(torch.tensor([[1.0, 0, 0.5], [2.0, 0, -1]]))
    assert centres[0].isnan().all()
    assert centres[1].tolist() == [1, 0]
    assert strengths.tolist() == [-0.5, 1]


def test_position_similarity_is_the_cosine_of_each_pair():
    embed = torch.randn(6, 5)
    found = position_similarity(embed, (2, 3))
    assert found.shape == (2, 3, 2, 3)
    for n in range(6):
        for m in range(6):
            cosine = torch.cosine_similarity(embed[n], embed[m], dim=0)
            assert found[n // 3, n % 3, m // 3, m % 3] == pytest.approx(cosine.item(), abs=1e-6)
    with pytest.raises(ValueError, match='6 position embeddings are not a grid of 2 x 2'):
        position_similarity(embed, (2, 2))


def test_filter_components_are_those_of_scikit_learn():
    weight = torch.randn(20, 3, 2, 2)
    components, shares = filter_components(weight, 5)
    pca = PCA(5).fit(weight.flatten(1).numpy())
    np.testing.assert_allclose(shares, pca.explained_variance_ratio_, rtol=1e-4)
    dots = np.abs((components.flatten(1).numpy() * pca.components_).sum(1))
    np.testing.assert_allclose(dots, 1, rtol=1e-4)
    assert len(filter_components(torch.randn(3, 1, 4, 4), 28)[0]) == 2  # what 3 filters span


def test_offset_errors_are_mean_distances_of_each_axis():
    true = torch.tensor([[1, 2], [1, 2], [0, 3]])
    predicted = torch.tensor([[1.5, 2.0], [0.5, 4.0], [0.0, 0.0]])
    assert offset_errors(predicted, true).tolist() == pytest.approx([1 / 3, 5 / 3])
    offsets, means, counts = mean_by_offset(predicted, true)
    assert offsets.tolist() == [[0, 3], [1, 2]]
    assert means.tolist() == [[0, 0], [1, 3]]
    assert counts.tolist() == [1, 2]


def test_points_of_the_plane():
    features = np.random.default_rng(0).normal(size=(12, 6)).astype(np.float32)
    points, share = project_by_pca(features)
    pca = PCA(2).fit(features)
    np.testing.assert_allclose(np.abs(points), np.abs(pca.transform(features)), atol=1e-4)
    assert share == pytest.approx(pca.explained_variance_ratio_.sum(), rel=1e-4)
    assert project_by_tsne(features).shape == (12, 2)
    with pytest.raises(ValueError, match='t-SNE needs 5 images or more, got 3'):
        project_by_tsne(features[:3])

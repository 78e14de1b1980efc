import numpy as np
import pytest
import torch
from mmpretrain.structures import DataSample
from PIL import Image

from vit_plugins.report import neighbours
from vit_plugins.report.neighbours import find_neighbours
from vit_plugins.report.outcome import Outcome, read_outcome, write_outcome
from vit_plugins.report.predictions import Predictions
from vit_plugins.report.scores import class_rows, compare_paired, final_scores
from vit_plugins.report.shown_images import ShownImage
from vit_plugins.report.thumbnails import LEVELS, thumbnail, thumbnails_within


def predictions(rows, labels):
    return Predictions(np.array(rows, float), np.array(labels))


def test_scores_by_hand():
    said = predictions([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8], [0.7, 0.3]], [0, 0, 1, 1])
    accuracy, f1, majority = final_scores(said, {'largest class': 50.0, 'colours': 'no time'})
    assert accuracy.value == 0.75
    assert f1.value == pytest.approx((2 * 2 / 5 + 2 * 1 / 3) / 2)
    assert f1.low <= f1.value <= f1.high
    assert (majority.value, majority.is_model) == (0.5, False)
    assert said.sure_mistakes.tolist() == [3]
    cat, dog = class_rows(said.confusion, ['cat', 'dog'], [5, 6])
    assert (cat.score.recall, cat.score.precision, cat.trained) == (1.0, 2 / 3, 5)
    assert (cat.taken_for, dog.taken_for) == (None, ('cat', 1))


def test_paired_difference_is_zero_for_the_same_model_and_its_sign_turns():
    a, b = np.array([True] * 8 + [False] * 2), np.array([True] * 5 + [False] * 4 + [True])
    same, one, other = compare_paired(a, a), compare_paired(a, b), compare_paired(b, a)
    assert (same.difference, same.low) == (0, -same.high)
    assert (one.gained, one.lost, one.difference) == (1, 3, pytest.approx(-0.2))
    assert (other.low, other.high) == (pytest.approx(-one.high), pytest.approx(-one.low))


def test_an_outcome_is_read_as_it_was_written(tmp_path):
    assert read_outcome(tmp_path) is None
    outcome = Outcome(
        3, 'epoch', np.array([[3, 1], [0, 4]]), ('a', 'b'), (5, 6), 90.0, 80.0, {'x': 1.0}
    )
    write_outcome(tmp_path, outcome)
    again = read_outcome(tmp_path)
    assert (again.confusion == outcome.confusion).all()
    assert (again.epoch, again.baselines, list(again.classes)) == (3, {'x': 1.0}, ['a', 'b'])


class Rows(list):
    """Replaces a loader."""


def found_among(monkeypatch, vectors, labels, roles=None, count=2):
    def describe(model, batch):
        (i,) = batch
        sample = DataSample().set_gt_label(labels[i])
        sample.set_field(torch.tensor(vectors[i]), 'embedding', dtype=torch.Tensor)
        if roles:
            sample.set_field(roles[i], 'role', field_type='metainfo')
        return [sample]

    monkeypatch.setattr(neighbours, 'descriptors_of_batch', describe)
    return find_neighbours(None, Rows([(i,) for i in range(len(labels))]), count)


def test_an_image_does_not_find_itself_even_where_another_is_equal(monkeypatch):
    vectors = [[1.0, 0.0], [1.0, 0.0], [0.6, 0.8], [0.0, 1.0]]
    near = found_among(monkeypatch, vectors, [0, 1, 1, 1])
    assert near.found.tolist() == [[1, 2], [0, 2], [3, 0], [2, 0]] or near.found[2, 0] == 3
    assert near.right[:, 0].tolist() == [False, False, True, True]
    assert all(i not in row for i, row in enumerate(near.found))
    assert near.sure_mistakes.tolist() == [0, 1]


def test_queries_find_images_of_the_gallery(monkeypatch):
    vectors = [[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.6, 0.8]]
    roles = ['query', 'query', 'gallery', 'gallery']
    near = found_among(monkeypatch, vectors, [0, 0, 1, 0], roles, count=1)
    assert near.queries.tolist() == [0, 1]
    assert near.found.tolist() == [[3], [3]]
    assert near.cosines.ravel() == pytest.approx([0.6, 0.6])
    with pytest.raises(ValueError, match='too few images'):
        found_among(monkeypatch, [[1.0, 0.0]], [0])


def noise(key, size, seed):
    pixels = np.random.default_rng(seed).integers(0, 255, (*size, 3), np.uint8)
    return ShownImage(key, key, lambda side: Image.fromarray(pixels))


def test_tiny_images_keep_their_pixels():
    image = noise('a', (8, 8), 0)
    made = thumbnail(image, 96)
    assert (made.width, made.height) == (8, 8)
    assert made.address.startswith('data:image/webp;base64,')


def test_an_image_that_is_gone_is_a_crossed_tile():
    def load(side):
        raise OSError

    tile = ShownImage('a', 'a', load).picture(9)
    assert [tile.getpixel((x, 4)) for x in (0, 4)] == [(200, 200, 200), (20, 20, 20)]


def test_thumbnails_shrink_and_then_fall_away_with_the_budget():
    images = [noise(str(i), (120, 90), i) for i in range(6)]
    amply = thumbnails_within([*images, images[0]], 10**7)
    assert [max(t.width, t.height) for t in amply.values()] == [LEVELS[0][0]] * 6
    whole = sum(len(t.address) for t in amply.values())
    fewer = thumbnails_within(images, whole // 2)
    assert len(fewer) == 6
    assert max(t.height for t in fewer.values()) < LEVELS[0][0]
    least = thumbnails_within(images, whole // 20)
    assert list(least) == [image.key for image in images][: len(least)]
    assert 0 < len(least) < 6
    assert sum(len(t.address) for t in least.values()) <= whole // 20
    assert thumbnails_within([], 100) == {}

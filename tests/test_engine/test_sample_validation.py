import pytest

from vit_plugins.engine.sample_validation import sample_indices


@pytest.mark.parametrize(('size', 'count'), [(1000, 64), (7, 20), (5, 3), (1, 1)])
def test_as_many_different_images_as_there_are(size, count):
    found = sample_indices(size, count, seed=3)
    assert len(found) == len(set(found)) == min(size, count)
    assert found == sorted(found)
    assert set(found) <= set(range(size))


def test_random_pairs_from_all_over():
    found = sample_indices(1000, 64, seed=0)
    assert found != sample_indices(1000, 64, seed=1)
    assert len({i // 100 for i in found}) > 7  # of ten classes
    assert all(i ^ 1 in found for i in found)

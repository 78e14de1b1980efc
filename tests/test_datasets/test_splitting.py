import pytest

from vit_plugins.datasets.splitting import stratified_split


def test_every_class_gives_its_share():
    labels = ['a'] * 100 + ['b'] * 10 + ['c'] * 2 + ['d']
    kept, held = stratified_split([str(i) for i in range(113)], labels, 0.2)
    assert sorted(kept + held) == list(range(113))
    assert [sum(labels[i] == c for i in held) for c in 'abcd'] == [20, 2, 1, 0]


def test_a_large_fraction_leaves_one_to_train():
    kept, held = stratified_split(['x', 'y', 'z'], [0, 0, 0], 0.99)
    assert (len(kept), len(held)) == (1, 2)


def test_a_new_file_moves_at_most_one_other():
    keys = [f'cat/{i}.jpg' for i in range(50)]
    _, before = stratified_split(keys, [0] * 50, 0.2)
    _, after = stratified_split([*keys, 'cat/new.jpg'], [0] * 51, 0.2)
    assert len(set(before) ^ set(after)) <= 2


def test_order_of_the_files_does_not_matter():
    keys = [f'{i}.jpg' for i in range(20)]
    _, held = stratified_split(keys, [0] * 20, 0.2, seed=3)
    _, reverse = stratified_split(keys[::-1], [0] * 20, 0.2, seed=3)
    assert {keys[i] for i in held} == {keys[::-1][i] for i in reverse}


@pytest.mark.parametrize(
    ('keys', 'labels', 'fraction', 'message'),
    [
        (['a'], [0], 0.0, 'between 0 and 1, got 0.0'),
        (['a'], [0], 1, 'between 0 and 1, got 1'),
        (['a'], [0, 1], 0.5, 'one label per key is needed, got 2 for 1'),
        (['a', 'a'], [0, 1], 0.5, 'keys must be distinct'),
    ],
)
def test_refusals(keys, labels, fraction, message):
    with pytest.raises(ValueError, match=message):
        stratified_split(keys, labels, fraction)

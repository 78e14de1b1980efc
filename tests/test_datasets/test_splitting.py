import pytest

from vit_plugins.datasets.splitting import (
    grouped_folds,
    grouped_split,
    hold_out_classes,
    stratified_split,
)


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


NAMES = [f'class {i}' for i in range(10)]
FIRST_CHOICE = ['class 6', 'class 7', 'class 8']


@pytest.mark.parametrize(('share', 'count'), [(0.5, 5), (0.01, 1), (0.99, 9), (4, 4), (9, 9)])
def test_whole_classes_are_held_out(share, count):
    kept, held = hold_out_classes(NAMES, share)
    assert len(held) == count
    assert sorted(kept + held) == NAMES


def test_classes_are_fixed_and_another_seed_is_another_choice():
    # written down when it was made: a change would void what was measured
    assert hold_out_classes(NAMES, 3)[1] == FIRST_CHOICE
    assert hold_out_classes(NAMES[::-1], 3)[1] == FIRST_CHOICE
    assert hold_out_classes(NAMES, 3, seed=1)[1] != FIRST_CHOICE


@pytest.mark.parametrize(
    ('share', 'message'),
    [
        (1.0, r'between 0 and 1, got 1\.0'),
        (0, 'of 10 classes, 0 cannot be held out: give a number from 1 to 9'),
        (10, 'of 10 classes, 10 cannot'),
    ],
)
def test_share_out_of_range(share, message):
    with pytest.raises(ValueError, match=message):
        hold_out_classes(NAMES, share)


def test_too_few_classes():
    with pytest.raises(ValueError, match=r'at least 2 classes are needed .* got 1'):
        hold_out_classes(['a'], 0.5)


def test_class_names_repeat():
    with pytest.raises(ValueError, match='must be distinct'):
        hold_out_classes(['a', 'a', 'b'], 1)


def test_groups_stay_together_and_classes_on_either_side():
    keys = [f'{c}/{g}_{i}' for c in 'ab' for g in range(10) for i in range(4)]
    labels = [key[0] for key in keys]
    groups = [key.rsplit('_', 1)[0] for key in keys]
    kept, held = grouped_split(keys, labels, groups, 0.2)
    assert sorted(kept + held) == list(range(80))
    assert not {groups[i] for i in kept} & {groups[i] for i in held}
    assert [sum(labels[i] == c for i in held) for c in 'ab'] == [8, 8]
    assert grouped_split(keys, labels, groups, 0.2, seed=1)[1] != held


def test_large_groups_and_groups_of_several_classes():
    # two groups of half a class each: one is held out all the same
    kept, held = grouped_split(list('abcdefgh'), 'xxxxyyyy', 'ppqqrrss', 0.2)
    assert len(kept) == len(held) == 4
    # the only group of y cannot be held out: nothing of y would be trained on
    kept, held = grouped_split(list('abcdef'), 'xxxxyy', 'ppqqrr', 0.3)
    assert {4, 5} <= set(kept)
    assert len(held) == 2


def test_groups_that_cannot_be_split():
    with pytest.raises(ValueError, match=r"all images are of the group 'p'"):
        grouped_split(['a', 'b'], 'xy', 'pp', 0.5)
    with pytest.raises(ValueError, match=r'fraction must lie between'):
        grouped_split(['a', 'b'], 'xy', 'pq', 1.0)
    with pytest.raises(ValueError, match=r'one label and one group per key'):
        grouped_split(['a', 'b'], 'xy', 'p', 0.5)


def test_folds_hold_whole_groups_and_like_shares_of_the_classes():
    labels = ['a'] * 40 + ['b'] * 20
    groups = [f'a{i // 4}' for i in range(40)] + [f'b{i // 2}' for i in range(20)]
    folds = grouped_folds(labels, groups, 5)
    assert len(set(zip(groups, folds, strict=True))) == len(set(groups))
    for fold in range(5):
        held = [label for label, number in zip(labels, folds, strict=True) if number == fold]
        assert (held.count('a'), held.count('b')) == (8, 4)
    assert grouped_folds(labels[::-1], groups[::-1], 5) == folds[::-1]
    assert grouped_folds(labels, groups, 5, seed=1) != folds


def test_no_fold_is_empty():
    assert set(grouped_folds('abcd', 'pqrs', 4)) == {0, 1, 2, 3}
    with pytest.raises(ValueError, match='3 folds need as many groups, and there are 2'):
        grouped_folds('abc', 'ppq', 3)

import re

import pytest

from vit_plugins.engine.class_change import class_change


@pytest.mark.parametrize(
    ('before', 'now', 'told'),
    [
        (['a', 'b'], ['a', 'b'], None),
        (('a', 'b'), ['a', 'b'], None),
        (None, ['a'], None),
        (['a'], None, None),
        (['a', 'b'], ['a', 'b', 'c', 'd'], "new: 'c', 'd'"),
        (['a', 'b'], ['b'], "gone: 'a'"),
        (['a', 'b'], ['b', 'c'], "new: 'c'; gone: 'a'"),
        (['a', 'b', 'c'], ['a', 'c', 'b'], "their order differs: label 1 was 'b' and is 'c'"),
        ([], [f'{i}' for i in range(12)], r"new: '0', .*'9' and 2 more"),
    ],
)
def test_class_change(before, now, told):
    change = class_change(before, now)
    if told is None:
        assert change is None
    else:
        assert re.fullmatch(rf'other classes \({told}\)', change)

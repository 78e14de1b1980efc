"""Counts against their definition, by each method of counting and on several threads."""

import numpy as np
import pytest
import torch

from vit_plugins.evaluation.functional import counts_above
from vit_plugins.evaluation.functional.counts_above import CountsAbove


@pytest.fixture(params=[1, 3])
def threads(request):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


@pytest.mark.parametrize('dim', [0, 1])
@pytest.mark.parametrize('tile', [1, 500, 1 << 18])
@pytest.mark.parametrize('way', ['count', 'few', 'too many'])
def test_counts_are_those_of_the_definition(dim, tile, way, threads, monkeypatch):
    monkeypatch.setattr(counts_above, 'TILE', tile)
    monkeypatch.setattr(counts_above, 'FEW_ABOVE', 1 if way == 'few' else 1e-3)
    s = torch.randint(-2, 3, (300, 70)).float()
    bounds = torch.randint(-2, 3, (s.shape[1 - dim], 3)).float()
    bounds[5] = torch.inf
    above = CountsAbove(*(np.ones((len(bounds), 4), np.int32) for _ in range(2)))
    add = above.count if way == 'count' else above.count_few
    add(s, bounds, dim)
    lines = s if dim == 1 else s.T
    for line, limit, more, least in zip(lines, bounds, above.strict, above.loose, strict=True):
        assert more.tolist() == [1 + int((line > b).sum()) for b in limit] + [1]
        assert least.tolist() == [1 + int((line >= b).sum()) for b in limit] + [1]


@pytest.mark.parametrize('width', [8 * 255, 8 * 255 + 1, 5000])
def test_more_ones_in_a_row_than_fit_a_byte(width):
    above = CountsAbove.none(2, 1)
    above.count(torch.stack([torch.ones(width), torch.zeros(width)]), torch.zeros(2, 1))
    assert above.strict.tolist() == [[width], [0]]
    assert above.loose.tolist() == [[width], [width]]


def test_no_bound_is_no_work():
    for add in (CountsAbove.count, CountsAbove.count_few):
        above = CountsAbove.none(3, 2)
        add(above, torch.ones(3, 4), torch.empty(3, 0))
        assert not above.strict.any()
        assert not above.loose.any()

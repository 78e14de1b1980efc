import numpy as np
import pytest
import torch

from vit_plugins.evaluation.functional import above_counting
from vit_plugins.evaluation.functional.above_counting import add_counts_above


@pytest.mark.parametrize('dim', [0, 1])
@pytest.mark.parametrize('tile', [1, 500, 1 << 18])
def test_counts_are_those_of_the_definition(dim, tile, monkeypatch):
    monkeypatch.setattr(above_counting, 'TILE', tile)
    s = torch.randint(-2, 3, (300, 70)).float()
    bounds = torch.randint(-2, 3, (s.shape[1 - dim], 3)).float()
    bounds[5] = torch.inf
    strict, loose = (np.ones((len(bounds), 4), np.int32) for _ in range(2))
    add_counts_above(s, bounds, strict, loose, dim)
    lines = s if dim == 1 else s.T
    for line, limit, more, least in zip(lines, bounds, strict, loose, strict=True):
        assert more.tolist() == [1 + int((line > b).sum()) for b in limit] + [1]
        assert least.tolist() == [1 + int((line >= b).sum()) for b in limit] + [1]


def test_no_bound_is_no_work():
    counts = np.zeros((3, 2), np.int32)
    add_counts_above(torch.ones(3, 4), torch.empty(3, 0), counts, counts, 1)
    assert not counts.any()

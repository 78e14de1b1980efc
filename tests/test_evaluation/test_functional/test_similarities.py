"""Products of vectors: right, and alike wherever equal vectors stand."""

import pytest
import torch

from vit_plugins.evaluation.functional import similarities as module
from vit_plugins.evaluation.functional.similarities import similarities


@pytest.fixture(params=[1, 2])
def threads(request):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize('width', [3, 16, 50, 385])
def test_equal_vectors_have_equal_products_to_the_last_bit(width, threads):
    row, column = torch.randn(2, width)
    for n in (1, 2, 63, 257):
        for m in (1, 5, 33, 2048, 2049):
            found = similarities(row.expand(n, -1).contiguous(), column.expand(m, -1).contiguous())
            assert len(found.unique()) == 1, (n, m)


@pytest.mark.parametrize(('n', 'm'), [(1, 1), (3, 700), (300, 70), (257, 2049)])
def test_products_are_those_of_float64(n, m, monkeypatch):
    monkeypatch.setattr(module, 'TILE_COLUMNS', 512)
    rows, columns = torch.randn(n, 96), torch.randn(m, 96)
    exact = rows.double() @ columns.double().T
    torch.testing.assert_close(similarities(rows, columns).double(), exact, rtol=1e-5, atol=1e-4)
    torch.testing.assert_close(similarities(rows.double(), columns.double()), exact)
    wide = torch.full((n, m + 2), torch.nan)
    out = wide[:, :m]
    assert similarities(rows, columns, out=out) is out
    torch.testing.assert_close(out.double(), exact, rtol=1e-5, atol=1e-4)
    assert wide[:, m:].isnan().all()


def test_any_layout_gradient_or_autocast(monkeypatch):
    monkeypatch.setattr(module, 'TILE_COLUMNS', 16)
    vectors = torch.randn(9, 33).T.requires_grad_()  # (33, 9), columns side by side
    exact = vectors.detach().double() @ vectors.detach().double().T
    with torch.autocast('cpu', torch.bfloat16):
        found = similarities(vectors, vectors)
    assert not found.requires_grad
    torch.testing.assert_close(found.double(), exact, rtol=1e-5, atol=1e-5)
    one = vectors[:1].expand(20, -1)
    assert len(similarities(one, one).unique()) == 1


@pytest.mark.parametrize('shape', [(0, 4, 3), (4, 0, 3), (2, 3, 0)])
def test_empty_sides(shape):
    n, m, width = shape
    found = similarities(torch.ones(n, width), torch.ones(m, width))
    assert found.tolist() == torch.zeros(n, m).tolist()


def test_without_onednn_torch_multiplies(monkeypatch):
    monkeypatch.setattr(torch.backends.mkldnn, 'is_available', lambda: False)
    rows, columns = torch.randn(5, 7), torch.randn(6, 7)
    assert similarities(rows, columns).equal(torch.mm(rows, columns.T))

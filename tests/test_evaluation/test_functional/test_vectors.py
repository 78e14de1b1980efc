import numpy as np
import pytest
import torch

from vit_plugins.evaluation.functional.vectors import as_vectors, full_precision


def test_products_are_in_float32_whatever_was_set():
    a = torch.randn(8, 64, requires_grad=True)
    before = torch.get_float32_matmul_precision()
    with torch.autocast('cpu', torch.bfloat16):
        with full_precision('cpu'):
            assert torch.get_float32_matmul_precision() == 'highest'
            product = a @ a.T
        assert product.dtype == torch.float32
        assert not product.requires_grad
        with pytest.raises(ZeroDivisionError), full_precision('cpu'):
            1 / 0  # noqa: B018
        assert (a @ a.T).dtype == torch.bfloat16
    assert torch.get_float32_matmul_precision() == before


def test_vectors_are_of_unit_length_for_the_cosine_alone():
    given = np.array([[3, 4], [0, 0]], np.float64)
    assert as_vectors(given, 'dot', 'cpu', 'images').tolist() == given.tolist()
    found = as_vectors(given, 'cosine', 'cpu', 'images')
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, torch.tensor([[0.6, 0.8], [0, 0]]))
    with pytest.raises(ValueError, match='1 of 2 images hold NaN or infinity'):
        as_vectors([[0.0, np.inf], [0, 0]], 'dot', 'cpu', 'images')

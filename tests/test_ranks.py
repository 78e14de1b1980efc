"""The helper for tests on two ranks: a rank that fails is reported."""

import pytest
import torch
from ranks import run_on_ranks


def add_ranks(rank, amount):
    total = torch.tensor(float(rank + amount))
    torch.distributed.all_reduce(total)
    assert total == 1 + 2 * amount
    assert rank == 0, 'this rank is not the first'


@pytest.mark.slow
def test_a_rank_that_fails_is_told_with_its_output(tmp_path):
    with pytest.raises(AssertionError, match=r'rank1\.log(?s:.*)this rank is not the first'):
        run_on_ranks(add_ranks, tmp_path, 4)

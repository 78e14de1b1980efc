"""Equality is checked before anything is timed."""

import pytest
import torch

from vit_plugins.benchmarks.comparison import (
    Comparison,
    OutputsDifferError,
    Side,
    check_equal_outputs,
    relative_difference,
)


def side(value):
    output = torch.tensor([3.0, value])
    return Side(lambda: output, lambda: [output])


def test_relative_difference_is_that_of_the_norms():
    found = relative_difference(torch.tensor([3.0, 4.5]), torch.tensor([3.0, 4.0]))
    assert found == pytest.approx(0.5 / 5)
    assert relative_difference(torch.zeros(2), torch.zeros(2)) == 0


def test_equal_sides_pass_and_limits_are_not_asked():
    sides = {'ours': side(4.0), 'peer': side(4.0001), 'limit': Side(lambda: None)}
    differences = check_equal_outputs(Comparison('case', sides, 1e-3))
    assert list(differences) == ['peer']
    assert differences['peer'] == pytest.approx(2e-5, rel=0.01)


@pytest.mark.parametrize('value', [4.1, float('nan')])
def test_another_output_stops_the_comparison(value):
    sides = {'ours': side(4.0), 'peer': side(value)}
    with pytest.raises(OutputsDifferError, match='case: outputs of peer differ from those of ou'):
        check_equal_outputs(Comparison('case', sides, 1e-3))

"""Attention rollout: loops over paths, and tokens that are added in a later layer."""

import itertools

import pytest
import torch

from vit_plugins.evaluation.functional.attention_rollout import attention_rollout


def test_rollout_sums_over_all_paths():
    layers = [torch.rand(1, 2, 3, 3).softmax(-1) for _ in range(3)]
    half = [(layer.mean(1)[0] + torch.eye(3)) / 2 for layer in layers]
    slow = torch.zeros(3, 3)
    for last, middle, first, source in itertools.product(range(3), repeat=4):
        slow[last, source] += (
            half[2][last, middle] * half[1][middle, first] * half[0][first, source]
        )
    found = attention_rollout(layers)
    torch.testing.assert_close(found[0], slow)
    torch.testing.assert_close(found.sum(-1), torch.ones(1, 3))


def test_a_class_token_that_joins_is_made_of_itself_until_then():
    local = torch.rand(1, 2, 3, 3).softmax(-1)
    plain = torch.rand(1, 2, 4, 4).softmax(-1)
    found = attention_rollout([local, plain])[0]
    before = torch.eye(4)
    before[1:, 1:] = attention_rollout([local])[0]
    torch.testing.assert_close(found, (plain.mean(1)[0] + torch.eye(4)) / 2 @ before)


@pytest.mark.parametrize('shapes', [[(4, 2)], [(4, 4), (3, 3)]])
def test_layers_that_drop_tokens_are_refused(shapes):
    with pytest.raises(ValueError, match=f'layer {len(shapes) - 1} attends from'):
        attention_rollout([torch.rand(1, 1, *shape) for shape in shapes])
    with pytest.raises(ValueError, match='one layer at least'):
        attention_rollout([])

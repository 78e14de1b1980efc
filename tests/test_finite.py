"""What counts as finite: weights, buffers, masks, answers."""

import json

import pytest
import torch
from mmpretrain.structures import DataSample

from vit_plugins.finite import first_non_finite, json_text, non_finite_weights

NAN, INF = float('nan'), float('inf')


@pytest.mark.parametrize('value', [NAN, INF, -INF])
@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16, torch.float32])
def test_one_number_among_many_is_found(value, dtype):
    weights = {name: torch.ones(3, 5, dtype=dtype) for name in 'abc'}
    assert non_finite_weights(weights) == []
    weights['b'][2, 4] = value
    assert non_finite_weights(weights) == ['b']


def test_what_is_no_weight_is_passed_over():
    mask = torch.zeros(4, 4).masked_fill(torch.ones(4, 4).triu(1).bool(), -INF)
    others = {'mask': mask, 'steps': torch.tensor(3), 'empty': torch.empty(0), 'text': 'nan'}
    assert non_finite_weights(others) == []
    assert non_finite_weights({}) == []
    mask[3, 3] = NAN
    assert non_finite_weights(others) == ['mask']


def test_the_first_answer_that_is_not_finite():
    samples = [DataSample().set_pred_score(torch.rand(3)).set_gt_label(1) for _ in range(4)]
    assert first_non_finite(samples) is None
    assert first_non_finite([]) is None
    samples[3].pred_score[0] = NAN
    samples[2].set_field(torch.tensor([INF, 0.0]), 'embedding', dtype=torch.Tensor)
    assert first_non_finite(samples) == (2, 'embedding')


def test_json_has_no_nan():
    content = {'a': [1, float('nan'), (float('inf'), 'NaN')], 'b': {'c': -float('inf')}}
    assert json.loads(json_text(content)) == {'a': [1, None, [None, 'NaN']], 'b': {'c': None}}

"""Checks for finite values: weights, buffers, masks, predictions."""

import json

import pytest
import torch
from mmpretrain.structures import DataSample

from vit_plugins.evaluation.functional.finite import (
    first_non_finite,
    json_text,
    non_finite_in_checkpoint,
    non_finite_weights,
)

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


class OnGPU(torch.Tensor):
    """A tensor that reports a GPU and, as there, can be stacked only with such tensors."""

    device = torch.device('cuda', 0)

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        if func is torch.stack and len({tensor.device for tensor in args[0]}) > 1:
            raise RuntimeError('Expected all tensors to be on the same device')
        return super().__torch_function__(func, types, args, kwargs)


def test_tensors_of_several_devices():
    weights = {name: torch.ones(2) for name in 'abcd'}
    weights |= {name: weights[name].as_subclass(OnGPU) for name in 'bd'}
    assert weights['b'].isfinite().all().device.type == 'cuda'
    assert non_finite_weights(weights) == []
    weights['d'][0] = NAN
    assert non_finite_weights(weights) == ['d']
    weights['a'][0] = NAN
    assert non_finite_weights(weights) == ['a', 'd']
    sample = DataSample().set_pred_score(torch.rand(3))
    sample.set_field(weights['d'], 'embedding', dtype=torch.Tensor)
    assert first_non_finite([sample]) == (0, 'embedding')


def test_weights_of_a_checkpoint():
    good, bad = {'a': torch.ones(1)}, {'a': torch.ones(1), 'b': torch.tensor(NAN)}
    assert non_finite_in_checkpoint({'state_dict': good, 'ema_state_dict': good}) == []
    assert non_finite_in_checkpoint({'state_dict': good, 'ema_state_dict': bad}) == ['b']
    assert non_finite_in_checkpoint({'state_dict': bad, 'ema_state_dict': bad}) == ['b']
    assert non_finite_in_checkpoint({'state_dict': bad}) == ['b']
    assert non_finite_in_checkpoint(bad) == ['b']


def test_json_has_no_nan():
    content = {'a': [1, float('nan'), (float('inf'), 'NaN')], 'b': {'c': -float('inf')}}
    assert json.loads(json_text(content)) == {'a': [1, None, [None, 'NaN']], 'b': {'c': None}}

"""The model within any wrappers of the host."""

import pytest
from mmengine.model import BaseModel, BaseTTAModel, ExponentialMovingAverage
from torch import nn

from vit_plugins.weights.bare_model import bare_model


class Tiny(BaseModel):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(1, 1)

    def forward(self, inputs, data_samples=None, mode='tensor'):
        return self.layer(inputs)


class Views(BaseTTAModel):
    def merge_preds(self, data_samples_list):
        return data_samples_list


@pytest.mark.parametrize(
    'wrap',
    [
        lambda model: model,
        nn.DataParallel,
        Views,
        ExponentialMovingAverage,
        lambda model: nn.DataParallel(Views(model)),
    ],
)
def test_wrappers_are_taken_off(wrap):
    model = Tiny()
    found = bare_model(wrap(model))
    assert type(found) is Tiny
    if wrap is not ExponentialMovingAverage:  # which keeps a copy
        assert found is model


def test_a_layer_called_module_is_no_wrapper():
    model = nn.Module()
    model.module = nn.Linear(1, 1)
    assert bare_model(model) is model

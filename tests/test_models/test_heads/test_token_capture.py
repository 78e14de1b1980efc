"""Outputs of a captured module and its backbone; the tests of DRLocHead cover the rest."""

import pytest
import torch

from vit_plugins.models.heads.token_capture import capture_tokens


def test_capture_needs_a_tuple_and_a_tensor():
    class Backbone(torch.nn.Module):
        def __init__(self, output):
            super().__init__()
            self.block, self.output = torch.nn.Identity(), output

        def forward(self, x):
            return self.output(self.block(x))

    for output, value, error, message in (
        (lambda x: [x], torch.zeros(1), TypeError, 'Backbone returns a list'),
        (lambda x: (x,), 'text', TypeError, "source 'backbone.block' returns no tensor but str"),
    ):
        model = torch.nn.Module()
        model.backbone = Backbone(output)
        capture_tokens(model, ['backbone.block'])
        with pytest.raises(error, match=message):
            model.backbone(value)
    model = torch.nn.Module()
    model.backbone = Backbone(lambda x: (x,))
    model.backbone.unused = torch.nn.Identity()
    capture_tokens(model, ['backbone.unused'])
    with pytest.raises(RuntimeError, match=r"\['backbone.unused'\] did not run"):
        model.backbone(torch.zeros(1))

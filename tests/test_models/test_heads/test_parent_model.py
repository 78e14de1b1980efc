import pytest
from torch import nn

from vit_plugins.models.heads.parent_model import KnowsItsModel, ways_to_a_grid


class Listener(KnowsItsModel):
    def __init__(self):
        super().__init__()
        self.heard = []

    def join_model(self, model):
        self.heard.append(sorted(name for name, _ in model.named_children()))


def test_a_module_hears_of_its_parent_once_per_registration():
    """By assignment, as hosts do, and in containers; what came before is there already."""
    listener, parent = Listener(), nn.Module()
    parent.backbone = nn.Linear(1, 1)
    parent.head = listener
    parent.neck = nn.Linear(1, 1)
    assert listener.heard == [['backbone']]
    nn.Sequential(nn.ReLU(), listener)
    assert listener.heard == [['backbone'], ['0']]


@pytest.mark.parametrize(
    ('children', 'expected'),
    [
        (dict(norm=nn.LayerNorm(2), layers=nn.ModuleList([nn.ReLU()])), 'norm'),
        (dict(layers=nn.ModuleList([nn.ReLU(), nn.ReLU()]), pool=nn.Identity()), 'layers.1'),
        (dict(layers=nn.Sequential(nn.ReLU()), empty=nn.ModuleList()), 'layers.0'),
        ({}, '<module>'),
    ],
)
def test_module_that_sees_all_tokens(children, expected):
    backbone = nn.Module()
    for name, child in children.items():
        backbone.add_module(name, child)
    assert ways_to_a_grid(backbone) == f"source='backbone.{expected}' in DRLocHead"

from torch import nn

from vit_plugins.models.heads.parent_model import KnowsItsModel


class Listener(KnowsItsModel):
    def __init__(self):
        super().__init__()
        self.heard = []

    def join_model(self, model):
        self.heard.append(sorted(name for name, _ in model.named_children()))


def test_a_module_hears_of_its_parent_once_per_registration():
    """By assignment, as hosts do, and in containers; earlier modules are set already."""
    listener, parent = Listener(), nn.Module()
    parent.backbone = nn.Linear(1, 1)
    parent.head = listener
    parent.neck = nn.Linear(1, 1)
    assert listener.heard == [['backbone']]
    nn.Sequential(nn.ReLU(), listener)
    assert listener.heard == [['backbone'], ['0']]

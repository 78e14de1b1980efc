"""Set on a head the model that contains it."""

from functools import cache

from torch import nn
from torch.nn.modules.module import register_module_module_registration_hook


class KnowsItsModel(nn.Module):
    """A module whose :meth:`join_model` is called when it becomes a child of another module.

    PyTorch's modules do not know their parents, and the host builds a head from its config alone.
    Nothing else that a head receives says how its batch was padded. PyTorch's hook on the
    registration of modules is the only place where parent and head are both known without a
    setting.
    """

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        _announce_parents()

    def join_model(self, model: nn.Module) -> None:
        """Keep the needed facts about the model, but not the model itself: that would be a cycle.

        Args:
            model: The parent; it already has the modules that were added before this one.
        """


@cache  # registered once for all such modules, when the first one is built
def _announce_parents() -> None:
    register_module_module_registration_hook(_announce)


def _announce(parent: nn.Module, name: str, child: nn.Module | None) -> None:
    if isinstance(child, KnowsItsModel):
        child.join_model(parent)

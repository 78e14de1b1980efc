"""What a head has to know of the model that it becomes a part of."""

from functools import cache

from torch import nn
from torch.nn.modules.module import register_module_module_registration_hook


class KnowsItsModel(nn.Module):
    """A module whose :meth:`join_model` is called when it becomes a child of another module.

    PyTorch's modules do not know their parents, and hosts build a head from its config alone.
    Nothing else that they hand to a head tells how its batch was padded: a hook of PyTorch on
    the registration of modules is the only place where both are at hand without a setting.
    """

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        _announce_parents()

    def join_model(self, model: nn.Module) -> None:
        """Keep what matters of the model, but not the model itself: that would be a cycle.

        Args:
            model: The parent; what it got before this module is there already.
        """


@cache  # once for all such modules, and not before there is one
def _announce_parents() -> None:
    register_module_module_registration_hook(_announce)


def _announce(parent: nn.Module, name: str, child: nn.Module | None) -> None:
    if isinstance(child, KnowsItsModel):
        child.join_model(parent)

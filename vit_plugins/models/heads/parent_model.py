"""What a head has to know of the model that it becomes a part of."""

from functools import cache

from torch import nn
from torch.nn.modules.module import register_module_module_registration_hook


class KnowsItsModel(nn.Module):
    """A module whose :meth:`join_model` is called when it becomes a child of another module.

    PyTorch's modules do not know their parents, and hosts build a head from its config alone.
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


def ways_to_a_grid(backbone: nn.Module | None) -> str:
    """Return the settings that make a backbone hand over tokens that lie on a grid, in words.

    Args:
        backbone: The backbone; None names what the host's backbones have.

    >>> ways_to_a_grid(nn.Sequential())
    "source='backbone.<module>' in DRLocHead"
    """
    ways = []
    if backbone is None or hasattr(backbone, 'out_type'):
        ways.append("out_type='raw' (keeps the class token) or 'featmap' in the backbone")
    if backbone is None or hasattr(backbone, 'gap_before_final_norm'):
        ways.append('gap_before_final_norm=False in the backbone')
    module = '<module>' if backbone is None else _last_tokens(backbone)
    ways.append(f"source='backbone.{module}' in DRLocHead")
    return ', or '.join(ways)


def _last_tokens(backbone: nn.Module) -> str:
    """Return the name of the final norm, which sees all tokens, else of the last block."""
    children = dict(backbone.named_children())
    norms = [name for name, child in children.items() if isinstance(child, nn.LayerNorm)]
    if norms:
        return norms[-1]
    stacks = [
        n for n, child in children.items() if isinstance(child, (nn.ModuleList, nn.Sequential))
    ]
    stacks = [name for name in stacks if len(children[name])]
    return f'{stacks[-1]}.{len(children[stacks[-1]]) - 1}' if stacks else '<module>'

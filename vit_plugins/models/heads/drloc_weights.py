"""Convert weights between a classifier with a `DRLocHead` and one with its plain head."""

from collections.abc import Mapping

from mmengine.logging import print_log
from torch import Tensor, nn


def plain_state_dict(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Remove DRLoc from the weights of a classifier, for the same model with its plain head.

    Use it to publish or deploy: ``torch.save(plain_state_dict(model.state_dict()), path)``.

    Args:
        state_dict: Weights of an ``ImageClassifier`` with a :class:`DRLocHead`.

    Raises:
        ValueError: If the weights contain no DRLocHead.
    """
    if not any(key.startswith('head.drloc.') for key in state_dict):
        raise ValueError("no 'head.drloc.*' among the keys: these are not weights of a DRLocHead")
    renamed = {}
    for key, value in state_dict.items():
        if not key.startswith('head.drloc.'):
            key = key.removeprefix('head.') if key.startswith('head.neck.') else key
            renamed[key.replace('head.cls_head.', 'head.', 1)] = value
    return renamed


def wrapped_state_dict(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename the weights of a plain classifier to those of one with a :class:`DRLocHead`.

    Only needed when the plain model's neck has weights; otherwise loading does it.

    Args:
        state_dict: Weights of an ``ImageClassifier`` with a plain head.
    """
    prefixes = {'head.': 'head.cls_head.', 'neck.': 'head.neck.'}
    return {prefixes.get(key[:5], key[:5]) + key[5:]: value for key, value in state_dict.items()}


def accept_plain_weights(drloc: nn.Module, state_dict: dict, prefix: str) -> None:
    """Rename weights of the plain head in place; the MLP, which they lack, keeps its own.

    Args:
        drloc: The localization losses of the head.
        state_dict: The weights that are about to be loaded.
        prefix: The prefix of the :class:`DRLocHead` in it.
    """
    own = tuple(f'{prefix}{name}.' for name in ('cls_head', 'neck', 'drloc'))
    plain = [k for k in state_dict if k.startswith(prefix) and not k.startswith(own)]
    for key in plain:
        state_dict[f'{own[0]}{key[len(prefix) :]}'] = state_dict.pop(key)
    if plain and not any(key.startswith(own[2]) for key in state_dict):
        print_log('weights of a plain head: the DRLoc MLP keeps its own', logger='current')
        state_dict.update(drloc.state_dict(prefix=own[2]))

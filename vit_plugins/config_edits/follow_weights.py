"""Set the backbone of a recipe to that of the weights that the user names."""

from __future__ import annotations

import re
from copy import deepcopy
from pathlib import Path

from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.registry import DefaultScope
from mmpretrain import ModelHub, list_models
from mmpretrain.registry import MODELS

from ..fileio.quiet_log import without_information
from ..weights.pretrained_models import FILE, pretrained_models
from .backbone_by_name import TIMM, Encoder, find_encoder, use_encoder
from .pretrained import try_weights

PUBLISHED = re.compile(r'-[0-9a-f]{8}\.pth$')  # only names of published files end like this


def follow_weights(
    cfg: Config, weights: str | None, backbone: str | None = None, size: int | None = None
) -> Config:
    """Replace the backbone of a recipe by the backbone of the weights, if the two differ.

    A name of the model index identifies the backbone, and so does a file with the name that its
    authors gave it. Any other file is tried with the recipe's own backbone and with those of the
    table.

    Args:
        cfg: A recipe that sets ``backbone_follows``; changed in place.
        weights: A name or a file; None if the user names none.
        backbone: The name of the network to which the file belongs.
        size: The image size that the user set. Default: that of the table, else the size with
            which the model is tested.

    Returns:
        The same config.

    Raises:
        ValueError: If the recipe is for one backbone only, no backbone fits the weights, or the
            weights have to be downloaded by hand.
    """
    if not cfg.get('backbone_follows'):
        if backbone is not None:
            raise ValueError(
                f'--backbone {backbone}: the network of this recipe is part of it. Train photos '
                'or photos-frozen, or set model.backbone in a config of your own'
            )
        return cfg
    if weights is not None and weights.startswith(TIMM):
        row = pretrained_models().get(weights)
        address = f' ({row.address})' if row and row.address else ''
        raise ValueError(
            f'{weights} names a network of timm, whose weights are not fetched here: get the '
            f'file{address} and name both, --pretrained FILE --backbone {weights}'
        )
    name = backbone or _name_of(cfg, weights)
    encoder = find_encoder(name) if name else None
    if encoder is None and weights is not None:
        encoder = _fitting(cfg, weights)
    if encoder is None:
        return cfg
    row = pretrained_models().get(encoder.name)
    size = size or (row.size if row else encoder.size)
    print_log(f'Backbone: that of {encoder.name}, images of {size} px')
    return use_encoder(cfg, encoder, size)


def _name_of(cfg: Config, weights: str | None) -> str | None:
    """Return the model to which weights belong, if their name identifies it."""
    if weights is None or weights == cfg.get('default_weights'):
        return None
    if weights in list_models():
        return weights
    file = Path(weights).name
    if not PUBLISHED.search(file):
        return None
    known = ((name, ModelHub._models_dict[name].weights or '') for name in list_models())
    found = [name for name, address in known if address.endswith(f'/{file}')]
    return found[0] if found else None


def _fitting(cfg: Config, file: str) -> Encoder | None:
    """Return the first encoder of the table that a file fits; None if it fits the recipe's own.

    Raises:
        ValueError: If none fits.
    """
    if not Path(file).expanduser().is_file() or _fits(cfg.model.backbone, file):
        return None  # not a file: loading it reports this
    tried = [row for row in pretrained_models() if not row.startswith(TIMM) or _has_timm()]
    for name in tried:
        encoder = find_encoder(name)
        if _fits(encoder.backbone, file):
            return encoder
    raise ValueError(
        f'{file} fits neither the backbone of this recipe nor any of {FILE}: '
        f'{", ".join(tried)}. Name the network that it is for with --backbone NAME, any '
        'classifier of `vit-plugins list` or of MMPretrain'
    )


def _has_timm() -> bool:
    try:
        import timm  # noqa: F401
    except ImportError:
        return False
    return True


def _fits(backbone: dict, file: str) -> bool:
    config = {k: v for k, v in deepcopy(dict(backbone)).items() if k != 'init_cfg'}
    with without_information(), DefaultScope.overwrite_default_scope('mmpretrain'):
        built = MODELS.build(config)
        try:
            try_weights(built, file)
        except ValueError:
            return False
    return True

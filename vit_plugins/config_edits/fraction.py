"""Train on a fraction of the images with as many steps: ``--fraction F``, ``--subset``."""

from __future__ import annotations

from mmengine.config import Config, ConfigDict

from ..command_line.data_arguments import SUBSETS
from .scale_epochs import scale_epochs


def use_fraction(cfg: Config, fraction: float, subset: str = 'first') -> Config:
    """Keep a fraction of the training images of each class, and scale epochs to keep the steps.

    ConViT's sample efficiency (arXiv 2103.10697, Table 2) is ``fraction`` 0.05, 0.1, 0.3 and 0.5
    of the first images of each class in 300 / fraction epochs. A training that counts iterations
    keeps its length.

    Args:
        cfg: A recipe, changed in place.
        fraction: The fraction, within (0, 1].
        subset: 'first': the first images in the order of names; 'random': sampled with a seed.

    Returns:
        The same config.

    Raises:
        ValueError: If the fraction is out of range, there is no such subset or no training, or a
            schedule cannot be stretched.
    """
    if not 0 < fraction <= 1:
        raise ValueError(f'--fraction must lie within (0, 1], got {fraction}')
    if subset not in SUBSETS:
        raise ValueError(f'--subset must be one of {", ".join(SUBSETS)}, got {subset!r}')
    loader = cfg.get('train_dataloader')
    if not loader:
        raise ValueError(
            f'--fraction {fraction}: {cfg.filename} has no training images to take a part of'
        )
    if fraction == 1:
        return cfg
    loader.dataset = ConfigDict(
        type='ClassSubset', fraction=fraction, mode=subset, dataset=loader.dataset
    )
    train = cfg.get('train_cfg') or {}
    return scale_epochs(cfg, fraction) if train.get('max_epochs') else cfg

"""Set the classifier of recipes with a frozen backbone, and refuse options of no use to them."""

from __future__ import annotations

from collections.abc import Collection

from mmengine.config import Config

from .walking import type_name

LOOP = 'FrozenFeatureLoop'


def is_frozen(cfg: Config) -> bool:
    """Return whether a recipe encodes its images once and trains no network.

    Args:
        cfg: The recipe.
    """
    return type_name(cfg.get('train_cfg') or {}) == LOOP


def set_classifier(cfg: Config, classifier: str | None, penalty: float | None) -> Config:
    """Set the classifier that is fitted to the features.

    Args:
        cfg: A recipe, changed in place.
        classifier: 'linear' or 'nearest-mean'; None keeps that of the recipe.
        penalty: The penalty of 'linear'; None keeps that of the recipe.

    Returns:
        The same config.

    Raises:
        ValueError: If the recipe trains a network, or the classifier has no penalty.
    """
    given = {'--classifier': classifier, '--penalty': penalty}
    asked = [name for name, value in given.items() if value is not None]
    if not asked:
        return cfg
    if not is_frozen(cfg):
        raise ValueError(
            f'{" and ".join(asked)}: this recipe trains a network, not a classifier of frozen '
            'features alone. Train photos-frozen'
        )
    if classifier is not None:
        cfg.train_cfg.classifier = classifier
    if penalty is None:
        return cfg
    if not penalty > 0 or cfg.train_cfg.get('classifier', 'linear') != 'linear':
        raise ValueError(
            f'--penalty must be positive, and belongs to --classifier linear; got {penalty:g} '
            f'with {cfg.train_cfg.classifier}'
        )
    cfg.train_cfg.penalty = penalty
    return cfg


def refuse_for_frozen(cfg: Config, asked: Collection[str]) -> None:
    """Refuse options that a recipe with a frozen backbone cannot use.

    Args:
        cfg: The recipe.
        asked: The options of the user that change how a network learns.

    Raises:
        ValueError: If there are such options and the recipe has a frozen backbone.
    """
    if asked and is_frozen(cfg):
        raise ValueError(
            f'{", ".join(sorted(asked))} would have no effect: this recipe encodes each photo '
            'once and fits a classifier to the features, so that there are no epochs, no learning '
            'rate and no mixed precision. Leave it out, or train photos or photos-scratch'
        )

"""Find what a config is tested on, also where it only trains and validates."""

from __future__ import annotations

from copy import deepcopy

from mmengine.config import Config, ConfigDict


def evaluation_loader(cfg: Config) -> dict:
    """Return the loader whose transforms prepare images for a trained model.

    Args:
        cfg: A config.

    Returns:
        ``test_dataloader``, or without one ``val_dataloader``.

    Raises:
        ValueError: If the config has neither.
    """
    loader = cfg.get('test_dataloader') or cfg.get('val_dataloader')
    if not loader:
        raise ValueError(
            'the config has neither test_dataloader nor val_dataloader, whose transforms prepare '
            'images for the trained model: add one of them'
        )
    return loader


def complete_test_part(cfg: Config) -> Config:
    """Add a test on the validation images to a config without a test part.

    The test is run by the host's loop, as a loop for validation may need the one for training.

    Args:
        cfg: A config, changed in place.

    Returns:
        The same config.
    """
    if not cfg.get('test_dataloader') and cfg.get('val_dataloader'):
        for part in ('dataloader', 'evaluator'):
            cfg[f'test_{part}'] = deepcopy(cfg.get(f'val_{part}'))
        loop = cfg.get('val_cfg') or {}
        cfg.test_cfg = ConfigDict({key: loop[key] for key in loop if key != 'type'})
    return cfg

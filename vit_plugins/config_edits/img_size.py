"""Set the image size of a training: ``--img-size``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmengine.config import Config

from .recipe_variables import UnusedSettingError, apply_options
from .walking import image_size, walk

LEAST = 16


def set_img_size(
    cfg: Config,
    size: int,
    options: Mapping[str, Any] | None = None,
    others_backbone: bool = False,
) -> Config:
    """Load a recipe again for images of another size; pipelines and model follow.

    Args:
        cfg: A recipe as it was read from its file, which stores its size in the variable ``size``.
        size: Height and width of the images in pixels.
        options: The options of ``--cfg-options``, which are merged as well.
        others_backbone: Whether the backbone may still be replaced; the patches of the new one
            are checked then.

    Returns:
        The new config.

    Raises:
        ValueError: If the recipe has no such variable, or the size is too small or not a multiple
            of the patches.
    """
    options = dict(options or {})
    if size < LEAST:
        raise ValueError(f'--img-size must be at least {LEAST} pixels, got {size}')
    if 'size' in options and options['size'] != size:
        raise ValueError(
            f'--img-size {size} and --cfg-options size={options["size"]}: give one of them'
        )
    if not others_backbone:
        require_patches(cfg, size)
    try:
        found = apply_options(cfg, {**options, 'size': size})
    except UnusedSettingError as error:
        if 'size' in cfg or set(options) - {'size'}:
            raise ValueError(f'--img-size {size}: {error}') from None
        raise ValueError(
            f'--img-size {size}: this recipe has no `size` from which its pipelines and its model '
            'follow. Set the sizes in a config of your own, or take another recipe: photos, '
            'photos-scratch'
        ) from None
    if image_size(found) not in (size, (size, size)):
        raise ValueError(
            f'--img-size {size}: the pipelines of this recipe do not follow `size`. Set the '
            'sizes in a config of your own'
        )
    return found


def require_patches(cfg: Config, size: int) -> None:
    """Check that a model can divide images of a size into whole patches.

    Args:
        cfg: A config.
        size: Height and width of the images in pixels.

    Raises:
        ValueError: If it cannot.
    """
    for patch in {n['patch_size'] for n in walk(cfg.get('model')) if 'patch_size' in n}:
        if isinstance(patch, int) and size % patch:
            near = max(round(size / patch), 1) * patch
            raise ValueError(
                f'--img-size {size}: the model cuts images into patches of {patch} pixels, so the '
                f'size must be a multiple of {patch}, {near} for one'
            )

"""Load official and timm files, with any of their names, into a backbone of ours.

MMPretrain's ``ImageClassifier`` calls the backbone's ``_checkpoint_filter`` on the whole state
dict before it loads (:func:`rename_for_classifier`). ``_load_from_state_dict`` then gets the
backbone's part, or the whole file if the backbone is alone (:func:`rename_for_backbone`).
"""

from collections.abc import Sequence

from mmengine.logging import print_log
from mmpretrain.models.utils import resize_pos_embed
from torch import Tensor, nn

from .names.official import OfficialNames


def is_official(state_dict: dict) -> bool:
    """Return whether the keys are those of official and timm files."""
    return any(key.startswith(('blocks.', 'stage0.')) for key in state_dict)


def unwrap_training_state(state_dict: dict) -> dict:
    """Return the weights of an official training checkpoint, ``{'model': {...}, ...}``."""
    if not isinstance(state_dict.get('model'), dict):
        return state_dict
    others = [key for key in state_dict if key != 'model']
    if others:
        print_log(f'Checkpoint: only "model" is loaded, not {", ".join(others)}.', 'current')
    return {key.removeprefix('module.'): v for key, v in state_dict['model'].items()}


def backbone_part(state_dict: dict) -> dict:
    """Return the backbone's weights of a classifier; unknown keys stay."""
    if not any(key.startswith('backbone.') for key in state_dict):
        return state_dict
    foreign = ('head.', 'neck.', 'data_preprocessor.')
    if dropped := [key for key in state_dict if key.startswith(foreign)]:
        print_log(f'Backbone alone: {", ".join(dropped)} are not loaded.', 'current')
    return {
        key.removeprefix('backbone.'): value
        for key, value in state_dict.items()
        if not key.startswith(foreign)
    }


def record_grid(module: nn.Module, state_dict: dict, prefix: str, local_metadata: dict) -> None:
    """Write the grid of ``pos_embed`` into the metadata: 196 tokens may be 14 x 14 or 7 x 28.

    Args:
        module: A backbone, which registers this as its state dict hook. Its
            ``patch_resolution`` is None if it has no positions.
        state_dict: Unused.
        prefix: Unused.
        local_metadata: The metadata that gets the grid.
    """
    if module.patch_resolution is not None:
        local_metadata['grid'] = list(module.patch_resolution)


def rename_for_classifier(
    backbone: nn.Module, names: OfficialNames, state_dict: dict, prefix: str
) -> None:
    """Rename official and timm keys to those of the classifier, in place.

    Args:
        backbone: The classifier's backbone, with ``pos_embed``, ``patch_resolution`` and
            ``interpolate_mode``.
        names: The names of its official files.
        state_dict: The state dict that will be loaded.
        prefix: The prefix of the classifier; official files have none.
    """
    if not prefix:
        _replace(state_dict, _as_classifier(backbone, names, state_dict))
    names.check_any_matches(state_dict, prefix, (f'{prefix}backbone.', f'{prefix}head.'))


def rename_for_backbone(
    backbone: nn.Module, names: OfficialNames, state_dict: dict, prefix: str, metadata: dict
) -> None:
    """Keep the weights of the backbone and resize its position embedding, in place.

    Args:
        backbone: As in ``rename_for_classifier``.
        names: The names of its official files.
        state_dict: The state dict that will be loaded.
        prefix: The prefix of the backbone; empty if it is alone.
        metadata: The backbone's metadata in the checkpoint, perhaps with a ``grid``.
    """
    if not prefix:
        _replace(state_dict, backbone_part(_as_classifier(backbone, names, state_dict)))
    own = tuple(prefix + name for name, _ in backbone.named_parameters())
    names.check_any_matches(state_dict, prefix, own)
    key = prefix + 'pos_embed'
    if key in state_dict and getattr(backbone, 'pos_embed', None) is not None:
        state_dict[key] = _fit(backbone, names, state_dict[key], metadata.get('grid'))


def _as_classifier(backbone: nn.Module, names: OfficialNames, state_dict: dict) -> dict:
    state_dict = unwrap_training_state(state_dict)
    if is_official(state_dict):
        state_dict = names.convert(state_dict)
        key = 'backbone.pos_embed'
        if key in state_dict and getattr(backbone, 'pos_embed', None) is not None:
            embed = state_dict[key]
            state_dict[key] = _fit(backbone, names, embed, names.square_grid(embed))
    return state_dict


def _fit(
    backbone: nn.Module, names: OfficialNames, embed: Tensor, grid: Sequence[int] | None
) -> Tensor:
    """Resize a loaded embedding; a grid that is not recorded is taken as ours or as a square."""
    if grid is None and embed.shape[1] == backbone.pos_embed.shape[1]:
        return embed
    source = tuple(grid or names.square_grid(embed))
    target, mode = backbone.patch_resolution, backbone.interpolate_mode
    return resize_pos_embed(embed, source, target, mode, names.extra_tokens)


def _replace(state_dict: dict, new: dict) -> None:
    if new is not state_dict:
        state_dict.clear()
        state_dict.update(new)

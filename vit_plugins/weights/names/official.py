"""What official ViT checkpoints call their weights, what we call them, and how they load."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from mmengine.logging import print_log
from mmpretrain.models.utils import resize_pos_embed
from torch import Tensor, nn

# Names in the files of facebookresearch (convit, deit) and timm -> names in an ImageClassifier
# with VisionTransformerClsHead.
VIT_KEYS = (
    (r'(cls_token|pos_embed)', r'backbone.\1'),
    (r'patch_embed\.proj\.(weight|bias)', r'backbone.patch_embed.projection.\1'),
    (r'blocks\.(\d+)\.norm([12])\.(weight|bias)', r'backbone.layers.\1.ln\2.\3'),
    (r'blocks\.(\d+)\.mlp\.fc1\.(weight|bias)', r'backbone.layers.\1.ffn.layers.0.0.\2'),
    (r'blocks\.(\d+)\.mlp\.fc2\.(weight|bias)', r'backbone.layers.\1.ffn.layers.1.\2'),
    (r'blocks\.(\d+)\.attn\.(qkv|proj)\.(weight|bias)', r'backbone.layers.\1.attn.\2.\3'),
    (r'norm\.(weight|bias)', r'backbone.ln1.\1'),
    (r'head\.(weight|bias)', r'head.layers.head.\1'),
)


@dataclass(frozen=True)
class OfficialNames:
    """The names in the official files of one kind of backbone.

    Attributes:
        model: What messages call the backbone.
        keys: Pairs of a pattern of official keys and its replacement.
        example: The end of a key that only this model has, for messages.
        records_grid: Whether the backbone notes the grid of ``pos_embed``, see ``record_grid``.
        extra_tokens: Positions in ``pos_embed`` before those of the patches.
        blocks: What its first block is called in the official files and here, for messages.
        required: Official keys that each file of this kind has.
    """

    model: str
    keys: tuple[tuple[str, str], ...]
    example: str
    records_grid: bool = True
    extra_tokens: int = 0
    blocks: tuple[str, str] = ('blocks.0', 'layers.0')
    required: tuple[str, ...] = ('patch_embed.proj.weight', 'norm.weight')

    def rename(self, key: str) -> str:
        """Return the name of an official or timm key in an ImageClassifier; unknown ones stay."""
        for pattern, name in self.keys:
            if match := re.fullmatch(pattern, key):
                return match.expand(name)
        return key

    def convert(self, state_dict: dict) -> dict:
        """Rename official or timm keys to those of an ImageClassifier; unknown ones stay."""
        return {self.rename(key): value for key, value in state_dict.items()}

    def square_grid(self, pos_embed: Tensor) -> tuple[int, int]:
        """Return the grid of an official position embedding (1, N, D), which is always a square.

        Raises:
            ValueError: If N, without extra tokens, is no square number.
        """
        patches = pos_embed.shape[1] - self.extra_tokens
        side = math.isqrt(max(patches, 0))
        if side * side != patches:
            slot = 'without' if self.extra_tokens else 'with'
            raise ValueError(
                f'The checkpoint has a pos_embed of {pos_embed.shape[1]} tokens, which is no '
                f'square grid. One {slot} a slot for the class token, as in '
                f'{"ConViT" if self.extra_tokens else "DeiT"}, does not fit a {self.model}.'
            )
        return side, side

    def check_any_matches(self, state_dict: dict, prefix: str, known: tuple[str, ...]) -> None:
        """Raise a RuntimeError if there are keys under the prefix and none of them is known.

        Args:
            state_dict: What is about to be loaded.
            prefix: Where in the state dict the module stands.
            known: Beginnings of the keys that the module has a place for.
        """
        keys = [key for key in state_dict if key.startswith(prefix)]
        if keys and not any(key.startswith(known) for key in keys):
            theirs, ours = self.blocks
            raise RuntimeError(
                f'None of the {len(keys)} keys of the checkpoint belongs to a {self.model}, for '
                f'example {", ".join(keys[:3])}. Expected are names such as '
                f'{theirs}.{self.example} (official, timm) or backbone.{ours}.attn.proj.weight.'
            )


def is_official(state_dict: dict) -> bool:
    """Tell whether the keys are those of the official files and timm."""
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
    """Take the backbone's weights out of a classifier's; keys of no known part stay."""
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
    """Keep the grid of ``pos_embed`` in the metadata: 196 tokens may be 14 x 14 or 7 x 28.

    Args:
        module: A backbone, which registers this as its state dict hook.
        state_dict: Its state dict, not looked at.
        prefix: Where it stands, not looked at.
        local_metadata: Where the grid is noted.
    """
    local_metadata['grid'] = list(module.patch_resolution)


# Loading. ImageClassifier calls the backbone's _checkpoint_filter on the whole state dict before
# it loads; _load_from_state_dict sees the backbone's part, or all there is where it is alone.


def rename_for_classifier(
    backbone: nn.Module, names: OfficialNames, state_dict: dict, prefix: str
) -> None:
    """Rename official and timm keys to those of the classifier, in place.

    Args:
        backbone: That of the classifier, with ``pos_embed``, ``patch_resolution`` and
            ``interpolate_mode``.
        names: The names of its official files.
        state_dict: What is about to be loaded.
        prefix: Where the classifier stands; official files have none.
    """
    if not prefix:
        _replace(state_dict, _as_classifier(backbone, names, state_dict))
    names.check_any_matches(state_dict, prefix, (f'{prefix}backbone.', f'{prefix}head.'))


def rename_for_backbone(
    backbone: nn.Module, names: OfficialNames, state_dict: dict, prefix: str, metadata: dict
) -> None:
    """Take what belongs to the backbone and resize its position embedding, in place.

    Args:
        backbone: As in ``rename_for_classifier``.
        names: The names of its official files.
        state_dict: What is about to be loaded.
        prefix: Where the backbone stands; empty where it is alone.
        metadata: Its metadata in the checkpoint, perhaps with a ``grid``.
    """
    if not prefix:
        _replace(state_dict, backbone_part(_as_classifier(backbone, names, state_dict)))
    own = tuple(prefix + name for name, _ in backbone.named_parameters())
    names.check_any_matches(state_dict, prefix, own)
    key = prefix + 'pos_embed'
    if key in state_dict and backbone.pos_embed is not None:
        state_dict[key] = _fit(backbone, names, state_dict[key], metadata.get('grid'))


def _as_classifier(backbone: nn.Module, names: OfficialNames, state_dict: dict) -> dict:
    state_dict = unwrap_training_state(state_dict)
    if is_official(state_dict):
        state_dict = names.convert(state_dict)
        key = 'backbone.pos_embed'
        if key in state_dict and backbone.pos_embed is not None:
            embed = state_dict[key]
            state_dict[key] = _fit(backbone, names, embed, names.square_grid(embed))
    return state_dict


def _fit(
    backbone: nn.Module, names: OfficialNames, embed: Tensor, grid: Sequence[int] | None
) -> Tensor:
    """Resize a loaded embedding; a grid that is not on record is taken as ours or a square."""
    if grid is None and embed.shape[1] == backbone.pos_embed.shape[1]:
        return embed
    source = tuple(grid or names.square_grid(embed))
    target, mode = backbone.patch_resolution, backbone.interpolate_mode
    return resize_pos_embed(embed, source, target, mode, names.extra_tokens)


def _replace(state_dict: dict, new: dict) -> None:
    if new is not state_dict:
        state_dict.clear()
        state_dict.update(new)

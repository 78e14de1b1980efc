"""What ConViT checkpoints call their weights, and what we call them."""

import math
import re

from mmengine.logging import print_log
from torch import Tensor

# Names in the files of facebookresearch/convit and timm -> names in an ImageClassifier of ConViT
# and VisionTransformerClsHead.
OFFICIAL_KEYS = (
    (r'(cls_token|pos_embed)', r'backbone.\1'),
    (r'patch_embed\.proj\.(weight|bias)', r'backbone.patch_embed.projection.\1'),
    (r'blocks\.(\d+)\.norm([12])\.(weight|bias)', r'backbone.layers.\1.ln\2.\3'),
    (r'blocks\.(\d+)\.mlp\.fc1\.(weight|bias)', r'backbone.layers.\1.ffn.layers.0.0.\2'),
    (r'blocks\.(\d+)\.mlp\.fc2\.(weight|bias)', r'backbone.layers.\1.ffn.layers.1.\2'),
    (
        r'blocks\.(\d+)\.attn\.((?:qk|v|qkv|pos_proj|proj)\.(?:weight|bias)|gating_param)',
        r'backbone.layers.\1.attn.\2',
    ),
    (r'norm\.(weight|bias)', r'backbone.ln1.\1'),
    (r'head\.(weight|bias)', r'head.layers.head.\1'),
)


def is_official(state_dict: dict) -> bool:
    """Tell whether the keys are those of facebookresearch/convit and timm."""
    return any(key.startswith('blocks.') for key in state_dict)


def convert_official_keys(state_dict: dict) -> dict:
    """Rename official or timm keys to those of an ImageClassifier; unknown ones stay."""

    def rename(key: str) -> str:
        for pattern, name in OFFICIAL_KEYS:
            if match := re.fullmatch(pattern, key):
                return match.expand(name)
        return key

    return {rename(key): value for key, value in state_dict.items()}


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


def square_grid(pos_embed: Tensor) -> tuple[int, int]:
    """Return the grid of an official position embedding (1, N, D), which is always a square.

    Raises:
        ValueError: If N is no square number.
    """
    side = math.isqrt(pos_embed.shape[1])
    if side * side != pos_embed.shape[1]:
        raise ValueError(
            f'The checkpoint has a pos_embed of {pos_embed.shape[1]} tokens, which is no square '
            f'grid. One with a slot for the class token, as in DeiT, does not fit a ConViT.'
        )
    return side, side


def check_any_matches(state_dict: dict, prefix: str, known: tuple[str, ...]) -> None:
    """Raise a RuntimeError if there are keys under the prefix and none of them is known.

    Args:
        state_dict: What is about to be loaded.
        prefix: Where in the state dict the module stands.
        known: Beginnings of the keys that the module has a place for.
    """
    keys = [key for key in state_dict if key.startswith(prefix)]
    if keys and not any(key.startswith(known) for key in keys):
        raise RuntimeError(
            f'None of the {len(keys)} keys of the checkpoint belongs to a ConViT, for example '
            f'{", ".join(keys[:3])}. Expected are names such as blocks.0.attn.qk.weight '
            f'(official, timm) or backbone.layers.0.attn.qk.weight.'
        )

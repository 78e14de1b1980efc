"""A table of the weight names of one model in the files of one source."""

import math
import re
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class OfficialNames:
    """The names in the official files of one type of backbone.

    Attributes:
        model: The name of the backbone in messages.
        keys: Pairs of a pattern of official keys and its replacement.
        example: The end of a key that only this model has, for messages.
        records_grid: Whether the backbone notes the grid of ``pos_embed`` in its metadata.
        extra_tokens: Number of positions in ``pos_embed`` before those of the patches.
        blocks: The name of its first block in the official files and here, for messages.
        required: Official keys that every file of this type has.
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
            ValueError: If N, without extra tokens, is not a square number.
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
            state_dict: The state dict that will be loaded.
            prefix: The prefix of the module in the state dict.
            known: Beginnings of the keys that the module has.
        """
        keys = [key for key in state_dict if key.startswith(prefix)]
        if keys and not any(key.startswith(known) for key in keys):
            theirs, ours = self.blocks
            raise RuntimeError(
                f'None of the {len(keys)} keys of the checkpoint belongs to a {self.model}, for '
                f'example {", ".join(keys[:3])}. Expected are names such as '
                f'{theirs}.{self.example} (official, timm) or backbone.{ours}.attn.proj.weight.'
            )

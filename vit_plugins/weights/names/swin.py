"""The weight names of official and timm files of Swin, and the order of their inputs."""

from dataclasses import dataclass

from torch import Tensor

from .official import OfficialNames

BLOCK = r'layers\.(\d+)\.blocks\.(\d+)\.'
OURS = r'backbone.stages.\1.blocks.\2.'
MERGED = 4  # number of patches that patch merging combines into one


def reorder_merging(weight: Tensor) -> Tensor:
    """Reorder the input of patch merging from the authors' order to that of ``nn.Unfold``.

    The authors concatenate the four patches as (column, row, channel); Unfold has (channel, row,
    column).

    Args:
        weight: The weight of the norm (4 C,), or of the reduction (D, 4 C).
    """
    *out, width = weight.shape
    parts = weight.reshape(*out, 2, 2, width // MERGED)  # (..., 4 C) -> (..., column, row, C)
    return parts.transpose(-1, -3).reshape(weight.shape).contiguous()  # (..., C, row, column)


@dataclass(frozen=True)
class SwinNames(OfficialNames):
    """The names of Swin's official files, and of timm's, which merge patches one stage later."""

    def convert(self, state_dict: dict) -> dict:
        """Rename the keys and reorder the inputs of patch merging; unknown keys stay."""
        # Official files merge at the end of a stage, files of timm >= 0.9 before the next stage.
        is_timm = any(key.startswith('layers.1.downsample.') for key in state_dict) and not any(
            key.startswith('layers.0.downsample.') for key in state_dict
        )
        converted = super().convert(state_dict)
        result = {}
        for key, value in converted.items():
            head, found, tail = key.partition('.downsample.')
            if found and key.startswith('backbone.stages.'):
                stage = int(head.rpartition('.')[2]) - int(is_timm)
                key = f'backbone.stages.{stage}.downsample.{tail}'
                value = reorder_merging(value)
            result[key] = value
        return result


SWIN_NAMES = SwinNames(
    model='SwinTransformer',
    keys=(
        (r'absolute_pos_embed', r'backbone.absolute_pos_embed'),
        (r'patch_embed\.proj\.(weight|bias)', r'backbone.patch_embed.projection.\1'),
        (r'patch_embed\.norm\.(weight|bias)', r'backbone.patch_embed.norm.\1'),
        (BLOCK + r'norm([12])\.(weight|bias)', OURS + r'norm\3.\4'),
        (
            BLOCK + r'attn\.((?:qkv|proj)\.(?:weight|bias)|relative_position_bias_table)',
            OURS + r'attn.w_msa.\3',
        ),
        (BLOCK + r'mlp\.fc1\.(weight|bias)', OURS + r'ffn.layers.0.0.\3'),
        (BLOCK + r'mlp\.fc2\.(weight|bias)', OURS + r'ffn.layers.1.\3'),
        (
            r'layers\.(\d+)\.downsample\.((?:norm|reduction)\.(?:weight|bias))',
            r'backbone.stages.\1.downsample.\2',
        ),
        (r'norm\.(weight|bias)', r'backbone.norm3.\1'),
        (r'norm(\d)\.(weight|bias)', r'backbone.norm\1.\2'),
        (r'head\.(?:fc\.)?(weight|bias)', r'head.fc.\1'),
    ),
    example='attn.qkv.weight',
    records_grid=False,
    blocks=('layers.0.blocks.0', 'stages.0.blocks.0'),
)

"""The weight names of checkpoints of hybrid ViTs."""

from .google import GOOGLE_NAMES
from .official import OfficialNames

STEM = r'patch_embed\.backbone\.'
BLOCK = STEM + r'stages\.(\d+)\.blocks\.(\d+)\.'
OURS = r'backbone.patch_embed.stem.'

HYBRID_NAMES = OfficialNames(
    model='HybridViT',
    keys=(
        *GOOGLE_NAMES.keys,
        (STEM + r'stem\.(conv|norm)\.(weight|bias)', OURS + r'root.\1.\2'),
        (BLOCK + r'(conv|norm)([123])\.(weight|bias)', OURS + r'stages.\1.\2.unit\4.\3.\5'),
        (BLOCK + r'downsample\.(conv|norm)\.(weight|bias)', OURS + r'stages.\1.\2.shortcut.\3.\4'),
    ),
    example='attn.qkv.weight',
    extra_tokens=1,
    required=('patch_embed.backbone.stem.conv.weight', *GOOGLE_NAMES.required),
)

"""The weight names of ConViT checkpoints."""

from .official import OfficialNames
from .vit import VIT_KEYS

CONVIT_NAMES = OfficialNames(
    model='ConViT',
    keys=(
        *VIT_KEYS,
        (
            r'blocks\.(\d+)\.attn\.((?:qk|v|pos_proj)\.(?:weight|bias)|gating_param)',
            r'backbone.layers.\1.attn.\2',
        ),
    ),
    example='attn.qk.weight',
)

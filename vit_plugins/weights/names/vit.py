"""What official and timm files of ViT, DeiT and MAE call their weights."""

from .deit3 import DEIT3_NAMES
from .official import OfficialNames

# For the host's VisionTransformer and what derives from it. DeiT III adds LayerScale, distilled
# DeiT a second token; ViTs that average their patches normalise behind the average.
VIT_NAMES = OfficialNames(
    model='VisionTransformer',
    keys=(
        *DEIT3_NAMES.keys,
        (r'dist_token', r'backbone.dist_token'),
        (r'head_dist\.(weight|bias)', r'head.layers.head_dist.\1'),
        (r'fc_norm\.(weight|bias)', r'backbone.ln2.\1'),
        (r'norm_pre\.(weight|bias)', r'backbone.pre_norm.\1'),
    ),
    example='attn.qkv.weight',
    records_grid=False,
    extra_tokens=1,
)

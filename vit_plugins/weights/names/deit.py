"""What checkpoints of the first DeiT, distilled or not, call their weights."""

from .official import VIT_KEYS, OfficialNames

# For the host's VisionTransformer and DistilledVisionTransformer. The arch is 'deit-small'; the
# host's 'small' is another network, 768 wide with 8 layers.
DEIT_NAMES = OfficialNames(
    model='VisionTransformer',
    keys=(
        *VIT_KEYS,
        (r'dist_token', r'backbone.dist_token'),
        (r'head_dist\.(weight|bias)', r'head.layers.head_dist.\1'),
    ),
    example='attn.qkv.weight',
    records_grid=False,
)

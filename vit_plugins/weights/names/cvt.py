"""The weight names of official CvT checkpoints; ``CvT`` has the same names."""

from .official import OfficialNames

# The head is LinearClsHead: a hook of the backbone cannot see which head follows.
CVT_NAMES = OfficialNames(
    model='CvT',
    keys=(
        (
            r'(stage\d\.(?:cls_token|patch_embed\.(?:proj|norm)\.(?:weight|bias)))',
            r'backbone.\1',
        ),
        (
            r'(stage\d\.blocks\.\d+\.(?:norm[12]|attn\.proj(?:_[qkv])?|mlp\.fc[12])\.'
            r'(?:weight|bias))',
            r'backbone.\1',
        ),
        (
            r'(stage\d\.blocks\.\d+\.attn\.conv_proj_(?:q|k|v|kv)\.(?:conv\.weight|bn\.\w+))',
            r'backbone.\1',
        ),
        (r'norm\.(weight|bias)', r'backbone.norm.\1'),
        (r'head\.(weight|bias)', r'head.fc.\1'),
    ),
    example='attn.conv_proj_q.conv.weight',
    records_grid=False,
    blocks=('stage0.blocks.0', 'stage0.blocks.0'),
    required=('stage0.patch_embed.proj.weight',),
)

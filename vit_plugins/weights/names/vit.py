"""The weight names of official and timm files of ViT, DeiT and MAE; other tables extend them."""

from .official import OfficialNames

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
# LayerScale in the files of facebookresearch/deit, then in those of timm.
LAYER_SCALE_KEYS = (
    (r'blocks\.(\d+)\.gamma_1', r'backbone.layers.\1.attn.gamma1.weight'),
    (r'blocks\.(\d+)\.gamma_2', r'backbone.layers.\1.ffn.gamma2.weight'),
    (r'blocks\.(\d+)\.ls1\.gamma', r'backbone.layers.\1.attn.gamma1.weight'),
    (r'blocks\.(\d+)\.ls2\.gamma', r'backbone.layers.\1.ffn.gamma2.weight'),
)
# The second token of a distilled DeiT.
DISTILLATION_KEYS = (
    (r'dist_token', r'backbone.dist_token'),
    (r'head_dist\.(weight|bias)', r'head.layers.head_dist.\1'),
)

# For the host's VisionTransformer and its subclasses. ViTs that average their patches
# normalise after the average.
VIT_NAMES = OfficialNames(
    model='VisionTransformer',
    keys=(
        *VIT_KEYS,
        *LAYER_SCALE_KEYS,
        *DISTILLATION_KEYS,
        (r'fc_norm\.(weight|bias)', r'backbone.ln2.\1'),
        (r'norm_pre\.(weight|bias)', r'backbone.pre_norm.\1'),
    ),
    example='attn.qkv.weight',
    records_grid=False,
    extra_tokens=1,
)

"""What DeiT III checkpoints call their weights."""

from .official import VIT_KEYS, OfficialNames

DEIT3_NAMES = OfficialNames(
    model='DeiT3ViT',
    keys=(
        *VIT_KEYS,
        # LayerScale of facebookresearch/deit, then of timm.
        (r'blocks\.(\d+)\.gamma_1', r'backbone.layers.\1.attn.gamma1.weight'),
        (r'blocks\.(\d+)\.gamma_2', r'backbone.layers.\1.ffn.gamma2.weight'),
        (r'blocks\.(\d+)\.ls1\.gamma', r'backbone.layers.\1.attn.gamma1.weight'),
        (r'blocks\.(\d+)\.ls2\.gamma', r'backbone.layers.\1.ffn.gamma2.weight'),
    ),
    example='gamma_1',
)

"""The weight names of the checkpoints of T2T-ViT's authors."""

from .official import OfficialNames

T2T_NAMES = OfficialNames(
    model='T2TViTPerformer',
    keys=(
        (r'(cls_token|pos_embed)', r'backbone.\1'),
        (r'(tokens_to_token\.attention[12])\.w', r'backbone.\1.directions'),
        (r'(tokens_to_token\.attention[12])\.norm([12])\.(\w+)', r'backbone.\1.ln\2.\3'),
        (
            r'(tokens_to_token\.(?:attention[12]\.(?:kqv|proj|mlp\.[02])|project)\.\w+)',
            r'backbone.\1',
        ),
        (r'blocks\.(\d+)\.norm([12])\.(\w+)', r'backbone.encoder.\1.ln\2.\3'),
        (r'blocks\.(\d+)\.attn\.(qkv|proj)\.(\w+)', r'backbone.encoder.\1.attn.\2.\3'),
        (r'blocks\.(\d+)\.mlp\.fc1\.(\w+)', r'backbone.encoder.\1.ffn.layers.0.0.\2'),
        (r'blocks\.(\d+)\.mlp\.fc2\.(\w+)', r'backbone.encoder.\1.ffn.layers.1.\2'),
        (r'norm\.(\w+)', r'backbone.norm.\1'),
        (r'head\.(\w+)', r'head.layers.head.\1'),
    ),
    example='attn.qkv.weight',
    records_grid=False,
    required=('tokens_to_token.project.weight', 'norm.weight'),
)

from .conv_tokenizer import ConvTokenizer
from .gpsa import GPSA
from .hybrid_patch_embed import HybridPatchEmbed

__all__ = ['GPSA', 'ConvTokenizer', 'HybridPatchEmbed']

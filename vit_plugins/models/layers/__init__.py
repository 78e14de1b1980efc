from .gpsa import GPSA
from .hybrid_patch_embed import HybridPatchEmbed

__all__ = ['GPSA', 'HybridPatchEmbed']

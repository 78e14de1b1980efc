from .convit import ConViT
from .deit3_vit import DeiT3ViT
from .hybrid_vit import HybridViT

__all__ = ['ConViT', 'DeiT3ViT', 'HybridViT']

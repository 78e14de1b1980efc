from .convit import ConViT
from .cvt import CvT
from .deit3_vit import DeiT3ViT
from .hybrid_vit import HybridViT

__all__ = ['ConViT', 'CvT', 'DeiT3ViT', 'HybridViT']

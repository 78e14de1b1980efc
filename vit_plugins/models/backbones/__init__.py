from .convit import ConViT
from .deit3_vit import DeiT3ViT

__all__ = ['ConViT', 'DeiT3ViT']

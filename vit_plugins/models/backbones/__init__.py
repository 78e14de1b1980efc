from .convit import ConViT

__all__ = ['ConViT']

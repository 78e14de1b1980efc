from .drloc_head import DRLocHead

__all__ = ['DRLocHead']

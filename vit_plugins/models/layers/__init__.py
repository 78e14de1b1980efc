from .gpsa import GPSA

__all__ = ['GPSA']

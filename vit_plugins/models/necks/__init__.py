from .pca_projection import PCAProjection
from .token_pooling import TokenPooling

__all__ = ['PCAProjection', 'TokenPooling']

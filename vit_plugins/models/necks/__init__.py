from .pca_projection import PCAProjection
from .sequence_pooling import SequencePooling
from .token_pooling import TokenPooling

__all__ = ['PCAProjection', 'SequencePooling', 'TokenPooling']

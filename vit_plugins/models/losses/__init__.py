from .binary_cross_entropy_loss import BinaryCrossEntropyLoss
from .drloc_loss import DRLocLoss

__all__ = ['BinaryCrossEntropyLoss', 'DRLocLoss']

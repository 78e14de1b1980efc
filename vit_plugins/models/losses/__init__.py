from .binary_cross_entropy_loss import BinaryCrossEntropyLoss
from .contrastive_loss import ContrastiveLoss
from .drloc_loss import DRLocLoss
from .koleo_loss import KoLeoLoss
from .tuple_contrastive_loss import TupleContrastiveLoss

__all__ = [
    'BinaryCrossEntropyLoss',
    'ContrastiveLoss',
    'DRLocLoss',
    'KoLeoLoss',
    'TupleContrastiveLoss',
]

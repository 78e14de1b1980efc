from .drloc_loss import DRLocLoss

__all__ = ['DRLocLoss']

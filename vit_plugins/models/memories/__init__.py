from .cross_batch_memory import CrossBatchMemory

__all__ = ['CrossBatchMemory']

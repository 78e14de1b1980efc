"""What passes between dataset, model and metric."""

from .data_sample_batch import DataSampleBatch
from .stacked_items import StackedItems

__all__ = ['DataSampleBatch', 'StackedItems']

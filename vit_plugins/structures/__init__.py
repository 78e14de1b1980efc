"""What passes between dataset, model and metric."""

from .data_sample_batch import DataSampleBatch

__all__ = ['DataSampleBatch']

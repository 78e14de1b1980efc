"""The registered metrics."""

from .class_f1 import ClassF1
from .real_accuracy import ReaLAccuracy
from .retrieval_metric import RetrievalMetric
from .revisited_retrieval_metric import RevisitedRetrievalMetric

__all__ = ['ClassF1', 'ReaLAccuracy', 'RetrievalMetric', 'RevisitedRetrievalMetric']

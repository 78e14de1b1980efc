"""Registered metrics, and the pure functions behind them."""

from .functional.embedding_statistics import (
    components_for,
    covariance_spectrum,
    cumulative_energy,
    effective_rank,
    nearest_distances,
    similarity_histogram,
)
from .functional.pca import fit_pca, fit_supervised_whitening, label_pairs
from .functional.retrieval_ranking import PositiveRanks, iterate_positive_ranks
from .functional.retrieval_scores import RetrievalScores, retrieval_scores, scores_of_ranks
from .functional.revisited_protocol import (
    average_precision,
    precision_at,
    ranks_among,
    revisited_scores,
)
from .metrics import ClassF1, ReaLAccuracy, RetrievalMetric, RevisitedRetrievalMetric
from .metrics.real_accuracy import real_accuracy

__all__ = [
    'ClassF1',
    'PositiveRanks',
    'ReaLAccuracy',
    'RetrievalMetric',
    'RetrievalScores',
    'RevisitedRetrievalMetric',
    'average_precision',
    'components_for',
    'covariance_spectrum',
    'cumulative_energy',
    'effective_rank',
    'fit_pca',
    'fit_supervised_whitening',
    'iterate_positive_ranks',
    'label_pairs',
    'nearest_distances',
    'precision_at',
    'ranks_among',
    'real_accuracy',
    'retrieval_scores',
    'revisited_scores',
    'scores_of_ranks',
    'similarity_histogram',
]

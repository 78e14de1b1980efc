"""Data sets, transforms and what finds, checks and splits people's own images."""

from . import samplers, transforms  # noqa: F401  (registration)
from .class_subset import ClassSubset
from .cub_retrieval import CUBRetrieval
from .digits import Digits
from .image_folder import ImageFolder
from .in_shop_retrieval import InShopRetrieval
from .retrieval_folder import RetrievalFolder
from .revisited_oxford_paris import RevisitedOxfordParis
from .rotated_digits import RotatedDigits
from .sfm120k import SfM120k
from .stanford_online_products import StanfordOnlineProducts

__all__ = [
    'CUBRetrieval',
    'ClassSubset',
    'Digits',
    'ImageFolder',
    'InShopRetrieval',
    'RetrievalFolder',
    'RevisitedOxfordParis',
    'RotatedDigits',
    'SfM120k',
    'StanfordOnlineProducts',
]

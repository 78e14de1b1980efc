"""Datasets, transforms, and functions that find, check and split users' own images."""

from . import samplers, transforms  # noqa: F401  (registration)
from .cached_images import CachedImages
from .class_subset import ClassSubset
from .cub_retrieval import CUBRetrieval
from .digits import Digits
from .domainnet import DomainNet
from .image_folder import ImageFolder
from .imagenet100 import ImageNet100
from .imagenet_v2 import ImageNetV2
from .in_shop_retrieval import InShopRetrieval
from .placed_digits import PlacedDigits
from .retrieval_folder import RetrievalFolder
from .revisited_oxford_paris import RevisitedOxfordParis
from .rotated_digits import RotatedDigits
from .sfm120k import SfM120k
from .stacked_collate import stacked_collate
from .stanford_online_products import StanfordOnlineProducts
from .svhn import SVHN
from .vtab1k import VTAB1k

__all__ = [
    'SVHN',
    'CUBRetrieval',
    'CachedImages',
    'ClassSubset',
    'Digits',
    'DomainNet',
    'ImageFolder',
    'ImageNet100',
    'ImageNetV2',
    'InShopRetrieval',
    'PlacedDigits',
    'RetrievalFolder',
    'RevisitedOxfordParis',
    'RotatedDigits',
    'SfM120k',
    'StanfordOnlineProducts',
    'VTAB1k',
    'stacked_collate',
]

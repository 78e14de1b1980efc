"""The weight names of DeiT III checkpoints."""

from .official import OfficialNames
from .vit import LAYER_SCALE_KEYS, VIT_KEYS

DEIT3_NAMES = OfficialNames(
    model='DeiT3ViT',
    keys=(*VIT_KEYS, *LAYER_SCALE_KEYS),
    example='gamma_1',
)

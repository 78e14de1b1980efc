"""The tables of weight names: one for each source, and the table of each backbone."""

from torch import nn

from .convit import CONVIT_NAMES
from .cvt import CVT_NAMES
from .deit3 import DEIT3_NAMES
from .efficientnet import EFFICIENTNET_KEYS
from .hybrid import HYBRID_NAMES
from .official import OfficialNames
from .resnet import RESNET_D_NAMES, RESNET_NAMES
from .swin import SWIN_NAMES
from .t2t import T2T_NAMES
from .vit import VIT_NAMES

TIMM_NAMES = OfficialNames(  # the host's wrapper around timm's backbones
    model='TIMMBackbone',
    keys=(*EFFICIENTNET_KEYS, (r'(.*)', r'backbone.timm_model.\1')),
    example='weight',
)

# A class that is not listed uses the entry of its nearest base class.
BACKBONE_NAMES: dict[str, OfficialNames] = {
    'ConViT': CONVIT_NAMES,
    'CvT': CVT_NAMES,
    'DeiT3ViT': DEIT3_NAMES,
    'HybridViT': HYBRID_NAMES,
    'ResNet': RESNET_NAMES,
    'ResNetV1d': RESNET_D_NAMES,
    'SwinTransformer': SWIN_NAMES,
    'T2TViTPerformer': T2T_NAMES,
    'TIMMBackbone': TIMM_NAMES,
    'VisionTransformer': VIT_NAMES,
}


def official_names(backbone: nn.Module) -> tuple[str, OfficialNames] | None:
    """Return the key and the table of a backbone's names in official and timm files.

    Args:
        backbone: The backbone, ours or the host's.

    Returns:
        None if no table is known.
    """
    for cls in type(backbone).__mro__:
        if cls.__name__ in BACKBONE_NAMES:
            return cls.__name__, BACKBONE_NAMES[cls.__name__]
    return None

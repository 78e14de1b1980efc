from .convit import ConViT
from .cvt import CvT
from .deit3_vit import DeiT3ViT
from .hybrid_vit import HybridViT
from .pos_embed_vit import PosEmbedViT
from .residual_conv_stem import ResidualConvStem
from .resnet_stem import ResNetStem
from .t2t_vit_performer import T2TViTPerformer

__all__ = [
    'ConViT',
    'CvT',
    'DeiT3ViT',
    'HybridViT',
    'PosEmbedViT',
    'ResNetStem',
    'ResidualConvStem',
    'T2TViTPerformer',
]

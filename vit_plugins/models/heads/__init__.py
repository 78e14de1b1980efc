from .contrastive_retrieval_head import ContrastiveRetrievalHead
from .drloc_head import DRLocHead
from .vision_transformer_bce_head import VisionTransformerBCEHead

__all__ = ['ContrastiveRetrievalHead', 'DRLocHead', 'VisionTransformerBCEHead']

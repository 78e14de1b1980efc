"""The weight names of checkpoints of the first DeiT, distilled or not."""

from .official import OfficialNames
from .vit import DISTILLATION_KEYS, VIT_KEYS

# For the host's VisionTransformer and DistilledVisionTransformer. The arch is 'deit-small'; the
# host's 'small' is another network, 768 wide with 8 layers.
DEIT_NAMES = OfficialNames(
    model='VisionTransformer',
    keys=(*VIT_KEYS, *DISTILLATION_KEYS),
    example='attn.qkv.weight',
    records_grid=False,
)

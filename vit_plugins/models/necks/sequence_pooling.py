"""Pool the tokens by a learnt mean, in place of a class token."""

from collections.abc import Sequence

from mmengine.model import BaseModule
from mmpretrain.registry import MODELS
from torch import Tensor, nn

from .._number_checks import check_sizes
from ._patch_tokens import patch_tokens


@MODELS.register_module()
class SequencePooling(BaseModule):
    """Average the tokens with weights that a linear layer computes from each token.

    The sequence pooling (SeqPool) of `CCT <https://arxiv.org/abs/2104.05704>`_:
    softmax(g(x))ᵀ x over the tokens x, with g a linear layer of one output.

    Args:
        in_channels: Width of the tokens.
        num_extra_tokens: Class and distillation tokens in front of raw tokens, left out.
        init_cfg: None is a truncated normal of std 0.02 and bias 0.

    Raises:
        ValueError: If a number is out of range, or the last output of the backbone is neither raw
            tokens nor a map.
    """

    def __init__(
        self,
        in_channels: int,
        num_extra_tokens: int = 0,
        init_cfg: dict | list[dict] | None = None,
    ):
        if init_cfg is None:
            init_cfg = dict(type='TruncNormal', layer='Linear', std=0.02, bias=0.0)
        super().__init__(init_cfg)
        check_sizes(in_channels=in_channels)
        if not num_extra_tokens >= 0:
            raise ValueError(f'num_extra_tokens ({num_extra_tokens}) must not be negative')
        self.num_extra_tokens = num_extra_tokens
        self.score = nn.Linear(in_channels, 1)

    def forward(self, feats: Sequence[Tensor] | Tensor) -> tuple[Tensor]:
        """Pool the last of the outputs.

        Args:
            feats: Outputs of a backbone, or a single one: tokens (N, L, D), extra ones first, or
                a map (N, D, H, W).

        Returns:
            One tensor (N, D) in a tuple.
        """
        last = feats if isinstance(feats, Tensor) else feats[-1]
        tokens = patch_tokens(last, self.num_extra_tokens, 'SequencePooling')  # (N, M, D)
        weights = self.score(tokens).float().softmax(dim=1)  # (N, M, 1), sums to 1 under AMP, too
        return ((weights * tokens).sum(dim=1),)

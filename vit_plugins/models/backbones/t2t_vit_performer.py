"""T2T-ViT with performer attention in its tokens-to-token module."""

from collections.abc import Sequence
from functools import partial

from mmengine.model import BaseModule
from mmengine.model.weight_init import trunc_normal_
from mmengine.utils import to_2tuple
from mmpretrain.models.backbones.t2t_vit import T2T_ViT
from mmpretrain.registry import MODELS
from torch import Tensor, cat
from torch.nn.functional import scaled_dot_product_attention

from .._number_checks import check_rates, check_sizes
from ..layers.free_size import check_whole_patch, resize_positions
from ..layers.recomputed_gelu import recompute_gelus
from ..layers.token_performer import TokenPerformer
from ._token_backbone import format_output, freeze_unused, output_layers
from ._vit_parts import use_plain_rates


@MODELS.register_module()
class T2TViTPerformer(T2T_ViT):
    """`T2T-ViT <https://arxiv.org/abs/2101.11986>`_-14 as its authors and DRLoc train it.

    The host's ``T2T_ViT`` has full attention in its tokens-to-token module (T2T-ViT_t) and
    raises NotImplementedError for the performer, which this class uses. With 1000 classes it
    trains 21,465,806 parameters, like the official model, whose 79,744 frozen ones are buffers
    here. It also works without class token, with which the host's class fails in ``init_weights``.

    Attention is softmax(q kᵀ / √d) v with the width d of a head. The host's ``T2T_ViT`` divides
    its scale d^-0.5 out instead of multiplying by it, so that its logits are d times too large.

    The layers after the last of ``out_indices`` are not trained.

    Args:
        token_dims: Width inside the tokens-to-token module.
        kernel_ratio: Random directions for each of ``token_dims``.
        token_drop_rate: Dropout rate inside that module; the official code leaves it at 0.1.
        in_channels: Channels of the image.
        img_size: Side of the usual square input: it sets the grid of the position embedding, which
            is resized for other inputs.
        **kwargs: Other arguments of the host's T2T_ViT, without ``t2t_cfg``. ``qk_scale`` in
            ``layer_cfgs`` is the factor of q kᵀ; None is d^-0.5.
    """

    def __init__(
        self,
        token_dims: int = 64,
        kernel_ratio: float = 0.5,
        token_drop_rate: float = 0.1,
        in_channels: int = 3,
        img_size: int | tuple[int, int] = 224,
        **kwargs,
    ):
        if 't2t_cfg' in kwargs:
            raise ValueError('t2t_cfg is not taken: give token_dims and kernel_ratio themselves.')
        check_sizes(img_size=img_size, in_channels=in_channels, token_dims=token_dims)
        check_rates(
            token_drop_rate=token_drop_rate, drop_path_rate=kwargs.get('drop_path_rate', 0)
        )
        height, width = to_2tuple(img_size)
        if height != width:
            raise ValueError(
                f'img_size {tuple(img_size)} must be a square: give one number; images of other '
                f'shapes are taken all the same.'
            )
        # The host ignores a number that is too large, and takes negative ones only in lists.
        out_indices = output_layers(kwargs.pop('out_indices', -1), kwargs.get('num_layers', 14))
        kwargs = {
            'layer_cfgs': dict(
                num_heads=6, feedforward_channels=3 * kwargs.get('embed_dims', 384)
            ),
            **kwargs,
        }
        super().__init__(
            img_size=height,
            in_channels=in_channels,
            t2t_cfg=dict(token_dims=token_dims),
            out_indices=out_indices,
            **kwargs,
        )
        module, settings = self.tokens_to_token, (token_dims, kernel_ratio, token_drop_rate)
        module.attention1 = TokenPerformer(in_channels * 7 * 7, *settings)
        module.attention2 = TokenPerformer(token_dims * 3 * 3, *settings)
        layer_cfgs = kwargs['layer_cfgs']
        for i, layer in enumerate(self.encoder):
            settings = layer_cfgs[i] if isinstance(layer_cfgs, Sequence) else layer_cfgs
            # The host's own function divides by the given scale.
            layer.attn.scaled_dot_product_attention = partial(
                scaled_dot_product_attention, scale=settings.get('qk_scale')
            )
        freeze_unused(self.encoder, self.norm, out_indices)
        use_plain_rates(self)
        recompute_gelus(self)

    def train(self, mode: bool = True) -> 'T2TViTPerformer':
        """Set the training mode and return self; the host's method returns None."""
        super().train(mode)
        return self

    def init_weights(self) -> None:
        """Initialise by ``init_cfg``, and the class token where there is one."""
        BaseModule.init_weights(self)
        pretrained = isinstance(self.init_cfg, dict) and self.init_cfg['type'] == 'Pretrained'
        if self.cls_token is not None and not pretrained:
            trunc_normal_(self.cls_token, std=0.02)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Return the outputs of the layers ``out_indices``.

        It is the host's computation, but here the size of an exported program can stay free.

        Args:
            x: Images (B, C, H, W).

        Raises:
            ValueError: If the images are smaller than the first patch.
        """
        split = self.tokens_to_token.soft_split0
        check_whole_patch(x, split.kernel_size, split.padding)
        x, grid = self.tokens_to_token(x)  # (B, N, D)
        if self.cls_token is not None:
            x = cat((self.cls_token.expand(x.shape[0], -1, -1), x), dim=1)  # (B, 1 + N, D)
        sizes = self.patch_resolution, grid, self.interpolate_mode, self.num_extra_tokens
        x = self.drop_after_pos(x + resize_positions(self.pos_embed, *sizes))
        outs = []
        for i, layer in enumerate(self.encoder):
            x = layer(x)
            if i == len(self.encoder) - 1:
                x = self.norm(x)
            if i in self.out_indices:
                outs.append(format_output(x, grid, self.out_type))
        return tuple(outs)

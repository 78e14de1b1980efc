"""ConViT: a vision transformer that starts as a convolutional network and can change from it."""

import math
from collections.abc import Sequence

from mmengine.model import BaseModule, ModuleList
from mmengine.utils import to_2tuple
from mmpretrain.models.backbones.vision_transformer import TransformerEncoderLayer
from mmpretrain.models.utils import build_norm_layer
from mmpretrain.registry import MODELS
from torch import Tensor, nn

from ...weights.names.convit import CONVIT_NAMES
from .._number_checks import check_rates, check_sizes
from ..layers.gpsa import GPSA
from ..layers.recomputed_gelu import recompute_gelus
from ._token_backbone import TokenBackbone
from ._vit_parts import (
    arch_settings,
    build_patch_embed,
    drop_path_rates,
    normal_parameter,
    truncated_normal_init,
    vit_arch,
)


class ConViTLayer(TransformerEncoderLayer):
    """A host encoder layer, with GPSA as its attention if ``gpsa`` gives its arguments."""

    def __init__(self, gpsa: dict | None, **kwargs):
        super().__init__(**kwargs)
        self.is_local = gpsa is not None
        if self.is_local:
            self.attn = GPSA(**gpsa)

    def init_weights(self) -> None:
        """Leave the weights to ``init_cfg``: the host's Xavier start is not the paper's."""
        BaseModule.init_weights(self)

    def forward(self, x: Tensor, hw_shape: tuple[int, int]) -> Tensor:
        """Map tokens (B, N, D) to the same shape; only GPSA uses the grid (H, W)."""
        y = self.ln1(x)
        x = x + (self.attn(y, hw_shape) if self.is_local else self.attn(y))
        return self.ffn(self.ln2(x), identity=x)


@MODELS.register_module()
class ConViT(TokenBackbone):
    """`ConViT <https://arxiv.org/abs/2103.10697>`_ for images of any height and width.

    The first ``num_local_layers`` layers attend through GPSA among the patches; then the class
    token joins and plain self-attention follows. Official and timm weights load as they are.

    Args:
        arch: ``'tiny'``, ``'tiny-plus'``, ``'small'``, ``'small-plus'``, ``'base'``,
            ``'base-plus'``, or a dict with embed_dims, num_layers, num_heads and
            feedforward_channels.
        img_size: Usual input size, an int or (H, W): it sets the grid of the position embedding,
            which is resized for other inputs. A size that the patch does not divide is padded at
            the right and bottom, as in the host's VisionTransformer.
        patch_size: Height and width of a patch.
        in_channels: Channels of the image.
        num_local_layers: Number of GPSA layers, smaller than the number of layers.
        locality_strength: α of the convolutional initialisation.
        use_local_init: Start the GPSA layers as convolutions.
        gate: None to learn the gates; a number in [0, 1] fixes them, see `GPSA`.
        freeze_gpsa: Train no parameter of the GPSA modules.
        gpsa_mode: ``'gpsa'``, or ``'psa'`` for content and position in one softmax.
        out_type: ``'cls_token'`` (B, D), ``'featmap'`` (B, D, H, W), ``'avg_featmap'`` (B, D), or
            ``'raw'``: all tokens (B, 1 + N, D), (B, N, D) before the class token has joined.
        out_indices: Layers whose output is returned; negative ones count from the end. Layers
            after the last of them are neither run nor trained.
        use_pos_embed: Add a learned position embedding to the patches.
        interpolate_mode: How the position embedding is resized, ``'bicubic'`` or ``'bilinear'``.
        drop_rate: Dropout rate after the position embedding, of projections and of the FFN.
        attn_drop_rate: Dropout rate of the attention.
        drop_path_rate: Stochastic depth rate of the last layer; it grows linearly from 0.
        qkv_bias: Add a bias to queries, keys and values.
        norm_cfg: Normalisation layer; None is LayerNorm with eps 1e-6.
        final_norm: Normalise the output of the last layer.
        frozen_stages: Freeze the embedding (0) and this many layers; -1 freezes nothing.
        with_cp: Save memory by recomputing each layer in the backward pass.
        patch_cfg: Further arguments of mmcv's PatchEmbed, or those of the registered embedding
            that its ``type`` names, such as `HybridPatchEmbed`.
        init_cfg: None is the paper's truncated normal of std 0.02.
    """

    arch_zoo = {
        'tiny': vit_arch(192, 12, 4),
        'tiny-plus': vit_arch(256, 12, 4),
        'small': vit_arch(432, 12, 9),
        'small-plus': vit_arch(576, 12, 9),
        'base': vit_arch(768, 12, 16),
        'base-plus': vit_arch(1024, 12, 16),
    }
    names = CONVIT_NAMES
    layers_take_grid = True

    def __init__(
        self,
        arch: str | dict = 'tiny',
        img_size: int | tuple[int, int] = 224,
        patch_size: int | tuple[int, int] = 16,
        in_channels: int = 3,
        num_local_layers: int = 10,
        locality_strength: float = 1.0,
        use_local_init: bool = True,
        gate: float | None = None,
        freeze_gpsa: bool = False,
        gpsa_mode: str = 'gpsa',
        out_type: str = 'cls_token',
        out_indices: int | Sequence[int] = -1,
        use_pos_embed: bool = True,
        interpolate_mode: str = 'bicubic',
        drop_rate: float = 0.0,
        attn_drop_rate: float = 0.0,
        drop_path_rate: float = 0.0,
        qkv_bias: bool = False,
        norm_cfg: dict | None = None,
        final_norm: bool = True,
        frozen_stages: int = -1,
        with_cp: bool = False,
        patch_cfg: dict | None = None,
        init_cfg: dict | list[dict] | None = None,
    ):
        settings = arch_settings(arch, self.arch_zoo)
        check_sizes(img_size=img_size, patch_size=patch_size, in_channels=in_channels)
        check_rates(
            drop_rate=drop_rate, attn_drop_rate=attn_drop_rate, drop_path_rate=drop_path_rate
        )
        depth = settings['num_layers']
        super().__init__(
            depth,
            out_type,
            out_indices,
            frozen_stages,
            interpolate_mode,
            with_cp,
            truncated_normal_init() if init_cfg is None else init_cfg,
        )
        self.embed_dims = settings['embed_dims']
        self.num_layers = depth
        self.num_local_layers = self.cls_token_joins_at = num_local_layers
        self._check_where_the_class_token_joins()
        norm_cfg = norm_cfg or dict(type='LN', eps=1e-6)

        self.patch_embed = build_patch_embed(
            patch_cfg,
            in_channels=in_channels,
            embed_dims=self.embed_dims,
            kernel_size=patch_size,
            stride=patch_size,
            input_size=to_2tuple(img_size),
        )
        self.patch_resolution = self.patch_embed.init_out_size
        self.cls_token = normal_parameter(1, 1, self.embed_dims)
        self.pos_embed = None
        if use_pos_embed:
            self.pos_embed = normal_parameter(1, math.prod(self.patch_resolution), self.embed_dims)
        self.drop_after_pos = nn.Dropout(drop_rate)

        self.layers = ModuleList()
        common = dict(embed_dims=self.embed_dims, num_heads=settings['num_heads'])
        for i, drop_path in enumerate(drop_path_rates(drop_path_rate, depth)):
            gpsa = dict(
                **common,
                locality_strength=locality_strength,
                use_local_init=use_local_init,
                gate=gate,
                frozen=freeze_gpsa,
                mode=gpsa_mode,
                qkv_bias=qkv_bias,
                attn_drop=attn_drop_rate,
                proj_drop=drop_rate,
                drop_path=drop_path,
            )
            layer = ConViTLayer(
                gpsa if i < num_local_layers else None,
                **common,
                feedforward_channels=settings['feedforward_channels'],
                drop_rate=drop_rate,
                attn_drop_rate=attn_drop_rate,
                drop_path_rate=drop_path,
                qkv_bias=qkv_bias,
                norm_cfg=norm_cfg,
            )
            self.layers.append(layer)
        self.ln1 = build_norm_layer(norm_cfg, self.embed_dims) if final_norm else nn.Identity()

        recompute_gelus(self)
        self.freeze()
        if max(self.out_indices) < num_local_layers:
            self.cls_token.requires_grad = False

    def _check_where_the_class_token_joins(self) -> None:
        local, indices = self.num_local_layers, self.out_indices
        if not 0 <= local < self.num_layers:
            raise ValueError(
                f'num_local_layers ({local}) must be at least 0 and smaller than the number of '
                f'layers ({self.num_layers}): the class token joins after the GPSA layers, and '
                f'needs a layer to read the patches in.'
            )
        if self.out_type == 'cls_token' and min(indices) < local:
            raise ValueError(
                f"out_type='cls_token' with out_indices={indices}: the class token joins after "
                f'num_local_layers={local} layers, so layers 0 to {local - 1} have none. Set '
                f"out_type to 'avg_featmap', 'featmap' or 'raw', or choose later layers."
            )

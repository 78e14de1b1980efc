"""ConViT: a vision transformer that starts as a convolutional network and may leave it."""

import math
from collections.abc import Sequence

import torch
from mmengine.model import BaseModule, ModuleList
from mmengine.model.weight_init import trunc_normal_
from mmengine.utils import to_2tuple
from mmpretrain.models.backbones.base_backbone import BaseBackbone
from mmpretrain.models.backbones.vision_transformer import TransformerEncoderLayer
from mmpretrain.models.utils import build_norm_layer, resize_pos_embed
from mmpretrain.registry import MODELS
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ...weights.names.convit import CONVIT_NAMES
from ...weights.names.official import (
    record_grid,
    rename_for_backbone,
    rename_for_classifier,
)
from ..layers.gpsa import GPSA
from .plain_vit import (
    OUT_TYPES,
    arch_settings,
    build_patch_embed,
    check_choices,
    format_output,
    freeze_stages,
    freeze_unused,
    frozen_modules,
    layer_depth,
    output_layers,
)


class ConViTLayer(TransformerEncoderLayer):
    """A host encoder layer, with GPSA as its attention if ``gpsa`` gives its arguments."""

    def __init__(self, gpsa: dict | None, **kwargs):
        super().__init__(**kwargs)
        self.is_local = gpsa is not None
        if self.is_local:
            self.attn = GPSA(**gpsa)

    def init_weights(self) -> None:
        """Leave the weights to ``init_cfg``: the host layer's Xavier FFN is not the paper's."""
        BaseModule.init_weights(self)

    def forward(self, x: Tensor, hw_shape: tuple[int, int]) -> Tensor:
        """Map tokens (B, N, D) to the same shape; only GPSA looks at the grid (H, W)."""
        y = self.ln1(x)
        x = x + (self.attn(y, hw_shape) if self.is_local else self.attn(y))
        return self.ffn(self.ln2(x), identity=x)


@MODELS.register_module()
class ConViT(BaseBackbone):
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
        with_cp: Trade time for memory by recomputing each layer in the backward pass.
        patch_cfg: Further arguments of mmcv's PatchEmbed, or those of the registered embedding
            that its ``type`` names, such as `HybridPatchEmbed`.
        init_cfg: None is the paper's truncated normal of std 0.02.
    """

    arch_zoo = {
        name: {
            'embed_dims': dims,
            'num_layers': 12,
            'num_heads': heads,
            'feedforward_channels': 4 * dims,
        }
        for name, dims, heads in (
            ('tiny', 192, 4),
            ('tiny-plus', 256, 4),
            ('small', 432, 9),
            ('small-plus', 576, 9),
            ('base', 768, 16),
            ('base-plus', 1024, 16),
        )
    }
    OUT_TYPES = OUT_TYPES
    num_extra_tokens = 1  # the class token

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
        super().__init__(
            init_cfg
            or [
                dict(type='TruncNormal', layer='Linear', std=0.02, bias=0.0),
                dict(type='Constant', layer='LayerNorm', val=1.0, bias=0.0),
            ]
        )
        settings = arch_settings(arch, self.arch_zoo)
        self.embed_dims = settings['embed_dims']
        self.num_layers = settings['num_layers']
        self.num_local_layers = num_local_layers
        self.out_type = out_type
        self.interpolate_mode = interpolate_mode
        self.frozen_stages = frozen_stages
        self.with_cp = with_cp
        self.out_indices = self._check_settings(out_indices)
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
        # Here and not in init_weights(): no init_cfg reaches bare parameters, a checkpoint may.
        self.cls_token = nn.Parameter(trunc_normal_(torch.empty(1, 1, self.embed_dims), std=0.02))
        self.pos_embed = None
        if use_pos_embed:
            shape = (1, math.prod(self.patch_resolution), self.embed_dims)
            self.pos_embed = nn.Parameter(trunc_normal_(torch.empty(shape), std=0.02))
        self.drop_after_pos = nn.Dropout(drop_rate)

        self.layers = ModuleList()
        for i in range(self.num_layers):
            common = dict(embed_dims=self.embed_dims, num_heads=settings['num_heads'])
            drop_path = drop_path_rate * i / max(self.num_layers - 1, 1)
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

        self._register_state_dict_hook(record_grid)
        freeze_stages(self)
        freeze_unused(self)
        if max(self.out_indices) < num_local_layers:
            self.cls_token.requires_grad = False

    def _check_settings(self, out_indices: int | Sequence[int]) -> tuple[int, ...]:
        """Check what can be wrong by itself; return the output layers counted from 0."""
        depth, local = self.num_layers, self.num_local_layers
        if not 0 <= local < depth:
            raise ValueError(
                f'num_local_layers ({local}) must be at least 0 and smaller than the number of '
                f'layers ({depth}): the class token joins after the GPSA layers, and needs a '
                f'layer to read the patches in.'
            )
        check_choices(depth, self.out_type, self.interpolate_mode, self.frozen_stages)
        indices = output_layers(out_indices, depth)
        if self.out_type == 'cls_token' and min(indices) < local:
            raise ValueError(
                f"out_type='cls_token' with out_indices={out_indices}: the class token joins "
                f'after num_local_layers={local} layers, so layers 0 to {local - 1} have none. '
                f"Set out_type to 'avg_featmap', 'featmap' or 'raw', or choose later layers."
            )
        return indices

    def train(self, mode: bool = True) -> 'ConViT':
        """Set the training mode; frozen stages stay in evaluation mode."""
        super().train(mode)
        for module in frozen_modules(self):
            module.eval()
        return self

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Return one tensor for each of ``out_indices``, shaped as ``out_type`` says.

        Args:
            x: Images, shape (B, C, H, W).
        """
        x, grid = self.patch_embed(x)  # (B, N, D)
        x = x.contiguous()  # else the convolution's layout spreads, and each LayerNorm copies
        if self.pos_embed is not None:
            x = x + resize_pos_embed(
                self.pos_embed, self.patch_resolution, grid, self.interpolate_mode, 0
            )
        x = self.drop_after_pos(x)

        outs = {}
        for i, layer in enumerate(self.layers):
            if i == self.num_local_layers:
                x = torch.cat(
                    (self.cls_token.expand(x.shape[0], -1, -1), x), dim=1
                )  # (B, 1 + N, D)
            if self.with_cp and torch.is_grad_enabled():
                x = checkpoint(layer, x, grid, use_reentrant=False)
            else:
                x = layer(x, grid)
            if i == self.num_layers - 1:
                x = self.ln1(x)
            if i in self.out_indices:
                outs[i] = format_output(x, grid, self.out_type)
            if i == max(self.out_indices):
                break
        return tuple(outs[i] for i in self.out_indices)

    def get_layer_depth(self, param_name: str, prefix: str = '') -> tuple[int, int]:
        """Return a parameter's depth and the number of depths, for layer-wise learning rates.

        Args:
            param_name: Name of the parameter.
            prefix: What stands before the backbone's own names, such as ``'backbone.'``.
        """
        return layer_depth(param_name, prefix, self.num_layers)

    def _checkpoint_filter(self, state_dict: dict, prefix: str, *args) -> None:
        rename_for_classifier(self, CONVIT_NAMES, state_dict, prefix)

    def _load_from_state_dict(self, state_dict, prefix, local_metadata, *args):
        rename_for_backbone(self, CONVIT_NAMES, state_dict, prefix, local_metadata)
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *args)

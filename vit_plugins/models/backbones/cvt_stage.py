"""The modules of a CvT stage: token embedding, convolutional attention, MLP."""

from collections import OrderedDict

import torch
from mmcv.cnn.bricks.drop import DropPath
from mmengine.model import ModuleList
from mmengine.model.weight_init import trunc_normal_
from mmpretrain.models.utils import build_norm_layer
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from ..layers.free_size import check_whole_patch


def conv_projection(dims: int, stride: int) -> nn.Sequential:
    """Build the depth-wise 3 x 3 convolution with batch norm before a linear projection.

    Args:
        dims: Number of channels.
        stride: 2 reduces keys and values to a quarter of the tokens.
    """
    conv = nn.Conv2d(dims, dims, 3, stride, padding=1, groups=dims, bias=False)
    return nn.Sequential(OrderedDict(conv=conv, bn=nn.BatchNorm2d(dims)))


class ConvAttention(nn.Module):
    """Self-attention whose queries, keys and values first pass a convolution over the grid.

    Args:
        embed_dims: Width D of the tokens.
        num_heads: Number of heads h, a divisor of D.
        kv_stride: Stride of the convolution of keys and values.
        shared_kv: One convolution for both keys and values.
        qkv_bias: Add a bias to queries, keys and values.
        scale: Factor of the products of queries and keys.
        attn_drop: Dropout rate of the attention.
        proj_drop: Dropout rate of the output.
    """

    def __init__(
        self,
        embed_dims: int,
        num_heads: int,
        kv_stride: int,
        shared_kv: bool,
        qkv_bias: bool,
        scale: float,
        attn_drop: float,
        proj_drop: float,
    ):
        super().__init__()
        self.num_heads = num_heads
        self.shared_kv = shared_kv
        self.scale = scale
        self.kv_stride = kv_stride
        self.attn_drop = attn_drop
        self.conv_proj_q = conv_projection(embed_dims, 1)
        if shared_kv:
            self.conv_proj_kv = conv_projection(embed_dims, kv_stride)
        else:
            self.conv_proj_k = conv_projection(embed_dims, kv_stride)
            self.conv_proj_v = conv_projection(embed_dims, kv_stride)
        self.proj_q = nn.Linear(embed_dims, embed_dims, bias=qkv_bias)
        self.proj_k = nn.Linear(embed_dims, embed_dims, bias=qkv_bias)
        self.proj_v = nn.Linear(embed_dims, embed_dims, bias=qkv_bias)
        self.proj = nn.Linear(embed_dims, embed_dims)
        self.proj_drop = nn.Dropout(proj_drop)

    def project(self, x: Tensor, hw_shape: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor]:
        """Return queries (B, h, N, d), keys and values (B, h, M, d), M about N over stride².

        Args:
            x: Tokens, shape (B, N, D); tokens before those of the grid pass no convolution.
            hw_shape: The grid (H, W) of the other tokens.
        """
        num_patches = hw_shape[0] * hw_shape[1]
        grid = x[:, -num_patches:].transpose(1, 2).unflatten(2, hw_shape)  # (B, D, H, W)
        extra = x[:, :-num_patches]

        def tokens(conv: nn.Module) -> Tensor:
            patches = conv(grid).flatten(2).transpose(1, 2)  # (B, M, D)
            return torch.cat((extra, patches), dim=1) if extra.shape[1] else patches

        q = tokens(self.conv_proj_q)
        if self.shared_kv:
            k = v = tokens(self.conv_proj_kv)
        else:
            k, v = tokens(self.conv_proj_k), tokens(self.conv_proj_v)
        pairs = ((self.proj_q, q), (self.proj_k, k), (self.proj_v, v))
        return tuple(
            proj(t).unflatten(2, (self.num_heads, -1)).transpose(1, 2) for proj, t in pairs
        )

    def attend(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Return the output (B, N, D) for the results of ``project``.

        Args:
            q: Queries, shape (B, h, N, d).
            k: Keys, shape (B, h, M, d).
            v: Values, shape (B, h, M, d).
        """
        dropout = self.attn_drop if self.training else 0.0
        x = F.scaled_dot_product_attention(q, k, v, dropout_p=dropout, scale=self.scale)
        return self.proj_drop(self.proj(x.transpose(1, 2).flatten(2)))  # (B, N, D)

    def extra_repr(self) -> str:
        """Return the settings that the child modules do not print."""
        return f'heads={self.num_heads}, scale={self.scale:g}, attn_drop={self.attn_drop}'


class CvTBlock(nn.Module):
    """Convolutional attention and an MLP, each normalised before and added to its input."""

    def __init__(
        self,
        embed_dims: int,
        mlp_ratio: float,
        act: type[nn.Module],
        drop_rate: float,
        drop_path_rate: float,
        norm_cfg: dict,
        with_cp: bool,
        **attn,
    ):
        super().__init__()
        self.with_cp = with_cp
        self.norm1 = build_norm_layer(norm_cfg, embed_dims)
        self.attn = ConvAttention(embed_dims, proj_drop=drop_rate, **attn)
        self.norm2 = build_norm_layer(norm_cfg, embed_dims)
        hidden = int(embed_dims * mlp_ratio)
        self.mlp = nn.Sequential(
            OrderedDict(
                fc1=nn.Linear(embed_dims, hidden),
                act=act(),
                drop1=nn.Dropout(drop_rate),
                fc2=nn.Linear(hidden, embed_dims),
                drop2=nn.Dropout(drop_rate),
            )
        )
        self.drop_path = DropPath(drop_path_rate)

    def forward(self, x: Tensor, hw_shape: tuple[int, int]) -> Tensor:
        """Map tokens (B, N, D) to the same shape; the last H x W of them are the grid."""
        qkv = self.attn.project(self.norm1(x), hw_shape)
        if self.with_cp and torch.is_grad_enabled():
            # Not the projections: batch norm would count the recomputed batch again.
            return checkpoint(self._attend, x, *qkv, use_reentrant=False)
        return self._attend(x, *qkv)

    def _attend(self, x: Tensor, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        x = x + self.drop_path(self.attn.attend(q, k, v))
        return x + self.drop_path(self.mlp(self.norm2(x)))


class ConvEmbed(nn.Module):
    """Embed overlapping patches of a map as normalised tokens.

    Args:
        in_channels: Channels of the map.
        embed_dims: Width D of the tokens.
        kernel_size: Side of a patch.
        stride: Step between patches.
        padding: Zeros around the map.
        norm_cfg: Normalisation layer of the tokens.
    """

    def __init__(
        self,
        in_channels: int,
        embed_dims: int,
        kernel_size: int,
        stride: int,
        padding: int,
        norm_cfg: dict,
    ):
        super().__init__()
        self.proj = nn.Conv2d(in_channels, embed_dims, kernel_size, stride, padding)
        self.norm = build_norm_layer(norm_cfg, embed_dims)

    def forward(self, x: Tensor) -> tuple[Tensor, tuple[int, int]]:
        """Return tokens (B, N, D) and their grid (H, W) for a map (B, C, H', W').

        Raises:
            ValueError: If the padded map is smaller than a patch.
        """
        check_whole_patch(x, self.proj.kernel_size, self.proj.padding)
        x = self.proj(x)
        return self.norm(x.flatten(2).transpose(1, 2)), tuple(x.shape[2:])


class CvTStage(nn.Module):
    """A token embedding and the blocks after it.

    Args:
        patch_embed: The embedding.
        blocks: The blocks.
        with_cls_token: Put a class token before the grid.
        drop_rate: Dropout rate of the embedded tokens.
    """

    def __init__(
        self, patch_embed: ConvEmbed, blocks: ModuleList, with_cls_token: bool, drop_rate: float
    ):
        super().__init__()
        self.patch_embed = patch_embed
        self.cls_token = None
        if with_cls_token:
            # Here and not in init_weights(): no init_cfg reaches bare parameters.
            token = torch.empty(1, 1, patch_embed.proj.out_channels)
            self.cls_token = nn.Parameter(trunc_normal_(token, std=0.02))
        self.drop = nn.Dropout(drop_rate)
        self.blocks = blocks

    def forward(self, x: Tensor) -> tuple[Tensor, tuple[int, int]]:
        """Return tokens (B, N, D), the class token first, and the grid (H, W) of the others."""
        x, grid = self.patch_embed(x)
        if self.cls_token is not None:
            x = torch.cat((self.cls_token.expand(x.shape[0], -1, -1), x), dim=1)  # (B, 1 + N, D)
        x = self.drop(x)
        for block in self.blocks:
            x = block(x, grid)
        return x, grid

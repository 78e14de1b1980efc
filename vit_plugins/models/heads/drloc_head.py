"""A classification head that also learns the positions of its tokens."""

import warnings
from collections.abc import Sequence
from typing import Any

import torch
from mmengine.model import BaseModule, ModuleList
from mmengine.utils import to_2tuple
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample
from torch import Tensor, nn

from ...structures.data_sample_batch import DataSampleBatch
from .._number_checks import check_sizes
from ..losses.drloc_loss import DRLocLoss
from .class_features import CLS_SOURCES, class_features
from .drloc_weights import accept_plain_weights
from .parent_model import KnowsItsModel
from .token_capture import capture_tokens, tokens_of
from .token_grid import TokenGrid, ways_to_a_grid


@MODELS.register_module()
class DRLocHead(KnowsItsModel, BaseModule):
    """Wrap any classification head and add the dense relative localization loss to it.

    The classifier's neck moves inside (``ImageClassifier(neck=None)``), so that the head receives
    the tokens. Classification equals that of the wrapped head bit for bit, prediction runs nothing
    else, and weights of the plain model load as they are. ``plain_state_dict`` of
    :mod:`.drloc_weights` converts them back to a plain model. The loss is :class:`DRLocLoss`. Its
    published weights are 0.5 for Swin and 0.1 for T2T-ViT and CvT; with ``weight_in_cells=True``
    or ``preset='official'`` they are as strong as the authors ran them.

    For ViTs, set ``out_type='raw'``: the class token goes to the wrapped head, the rest to the
    loss. The grid of raw tokens is ``grid_size``, or image shape over ``patch_size``. For Swin,
    ResNet and others that return maps::

        model = dict(
            type='ImageClassifier',
            backbone=dict(type='SwinTransformer', arch='tiny'),
            head=dict(
                type='DRLocHead',
                in_channels=768,
                neck=dict(type='GlobalAveragePooling'),
                head=dict(type='LinearClsHead', num_classes=100, in_channels=768),
            ),
        )

    ``source`` takes the tokens from modules inside the backbone instead: before the final
    norm (Swin: ``'backbone.stages.3'``, as the authors do), before a global pooling
    (ConvNeXt), or after every block (the paper's L^all). It needs
    ``custom_hooks=[dict(type='DRLocSourceHook')]``, or :meth:`attach` outside a runner.

    Args:
        head: The classification head to wrap: config or module.
        in_channels: Width of the tokens; one per level if there are several.
        neck: Neck of the classification path: config, list of them or module.
        feat_index: Which output of the backbone holds the tokens; a list adds up the losses
            of several levels, each with its own MLP.
        source: Name of a module in the model, or a list of them, whose output to use instead
            of ``feat_index``.
        num_extra_tokens: Number of class and distillation tokens at the start of raw tokens.
        grid_size: Rows and columns of raw tokens, if all images have one size.
        patch_size: Side or sides of a patch, to find the grid from the image shape; None infers
            the square patch from the number of tokens.
        pad_size_divisor: The data preprocessor pads the sides of a batch to multiples of this;
            None reads it from the preprocessor of the model that contains the head.
        cls_source: The last feature of the wrapped head: ``'cls_token'``;
            ``'extra_tokens'``, a tuple of all of them (DeiTClsHead); ``'gap'``, the mean over
            the grid; ``'neck'``, the output of ``neck``; ``'feats'``, untouched. None takes
            the neck if there is one, the extra tokens of raw tokens, the mean of a map.
        loss_grid_size: Average-pool the tokens to this grid for the loss (``grid_size`` of
            :class:`DRLocLoss`).
        init_cfg: Initialisation of all children; their own initialisation overrides it.
        **loss_settings: Arguments of :class:`DRLocLoss`: ``loss_weight`` (0 keeps the loss's
            parameters in the graph), ``preset``, ``mode``, ``num_pairs``, ``weight_in_cells``,
            ``signed``, ``pool``, ``hidden_dims``, ``exclude_identical``, ``variance_weight``,
            ``min_variance``.

    Raises:
        ValueError: If arguments contradict each other.
    """

    def __init__(
        self,
        head: dict | nn.Module,
        in_channels: int | Sequence[int],
        neck: dict | Sequence[dict] | nn.Module | None = None,
        feat_index: int | Sequence[int] = -1,
        source: str | Sequence[str] | None = None,
        num_extra_tokens: int = 1,
        grid_size: int | tuple[int, int] | None = None,
        patch_size: int | tuple[int, int] | None = None,
        pad_size_divisor: int | None = None,
        cls_source: str | None = None,
        loss_grid_size: int | tuple[int, int] | None = None,
        init_cfg: dict | list | None = None,
        **loss_settings: Any,
    ) -> None:
        super().__init__(init_cfg)
        check_sizes(
            in_channels=in_channels,
            grid_size=grid_size,
            patch_size=patch_size,
            pad_size_divisor=pad_size_divisor,
            loss_grid_size=loss_grid_size,
        )
        if not num_extra_tokens >= 0:
            raise ValueError(f'num_extra_tokens ({num_extra_tokens}) must not be negative')
        self.sources = [source] if isinstance(source, str) else list(source or [])
        self.feat_indices = [feat_index] if isinstance(feat_index, int) else list(feat_index)
        if cls_source not in (None, *CLS_SOURCES):
            raise ValueError(f'cls_source ({cls_source!r}) must be None or one of {CLS_SOURCES}')
        if (cls_source == 'neck') != (neck is not None) and cls_source is not None:
            raise ValueError(f'cls_source={cls_source!r} contradicts neck={neck!r}')
        if self.sources and feat_index != -1:
            raise ValueError(
                f'feat_index ({feat_index}) and source ({source}) both say where the tokens '
                'come from; set one of them'
            )
        if grid_size is not None and patch_size is not None:
            raise ValueError(
                f'grid_size ({grid_size}) already says what patch_size ({patch_size}) is for; '
                'set one of them'
            )
        levels = len(self.sources or self.feat_indices)
        widths = [in_channels] * levels if isinstance(in_channels, int) else list(in_channels)
        if len(widths) != levels:
            raise ValueError(f'in_channels has {len(widths)} widths for {levels} levels of tokens')
        self.num_extra_tokens = num_extra_tokens
        self.cls_source = cls_source
        self.token_grid = TokenGrid(
            num_extra_tokens,
            size=None if grid_size is None else to_2tuple(grid_size),
            patch_size=None if patch_size is None else to_2tuple(patch_size),
            pad_size_divisor=pad_size_divisor,
            ways=ways_to_a_grid(None),
        )
        self.cls_head = MODELS.build(head) if isinstance(head, dict) else head
        unbuilt = neck is not None and not isinstance(neck, nn.Module)
        self.neck = MODELS.build(neck) if unbuilt else neck
        losses = [DRLocLoss(w, grid_size=loss_grid_size, **loss_settings) for w in widths]
        self.drloc = losses[0] if levels == 1 else ModuleList(losses)
        self._attached = False
        self._warned = False
        self._register_load_state_dict_pre_hook(self._accept_plain_weights)

    def join_model(self, model: nn.Module) -> None:
        """Read the padding of the model's data preprocessor and the settings of its backbone.

        Args:
            model: The classifier that contains this head.
        """
        if self.token_grid.pad_size_divisor is None:
            preprocessor = getattr(model, 'data_preprocessor', None)
            self.token_grid.pad_size_divisor = getattr(preprocessor, 'pad_size_divisor', None)
        if isinstance(backbone := getattr(model, 'backbone', None), nn.Module):
            self.token_grid.ways = ways_to_a_grid(backbone)

    def attach(self, model: nn.Module) -> None:
        """Make ``model.backbone`` return the tokens of ``source``; a second call has no effect.

        Args:
            model: The classifier that contains this head, without parallel wrapper.
        """
        if self.sources and not self._attached:
            capture_tokens(model, self.sources)
            self._attached = True

    def loss(
        self, feats: tuple[Tensor, ...], data_samples: list[DataSample], **kwargs: Any
    ) -> dict[str, Tensor]:
        """Compute the wrapped head's losses (``loss`` as ``loss_cls``) and those of DRLoc.

        Args:
            feats: Outputs of the backbone.
            data_samples: Samples with the labels and, for raw tokens, ``img_shape``.
            **kwargs: Passed to the wrapped head.

        Raises:
            ValueError: If the tokens have no grid, or another grid than the settings say.
        """
        drlocs = self.drlocs
        if isinstance(data_samples, DataSampleBatch):
            data_samples = data_samples.to_read()
        grids = self.token_grids(feats, data_samples)
        self._warn_if_frozen(grids)
        losses = self.cls_head.loss(self._cls_feats(feats), data_samples, **kwargs)
        # The host's parse_losses would log a key 'loss' instead of the total.
        losses = {'loss_cls' if key == 'loss' else key: val for key, val in losses.items()}
        # The last random numbers of the step: without the loss, all others stay the same.
        raw = [drloc.unweighted(grid) for drloc, grid in zip(drlocs, grids, strict=True)]
        # Multiplied even if the weight is 0: DDP needs each parameter in the graph.
        weights = [drloc.weight_on(grid) for drloc, grid in zip(drlocs, grids, strict=True)]
        losses['loss_drloc'] = sum(w * x for w, x in zip(weights, raw, strict=True))
        losses['drloc_raw'] = sum(raw).detach()
        return losses

    @property
    def drlocs(self) -> list[DRLocLoss]:
        """The localization loss of each level."""
        return [self.drloc] if isinstance(self.drloc, DRLocLoss) else list(self.drloc)

    def token_grids(
        self, feats: tuple[Tensor, ...], data_samples: list[DataSample]
    ) -> list[Tensor]:
        """Return the tokens that are localized as maps (B, D, h, w), one for each level.

        Args:
            feats: Outputs of the backbone.
            data_samples: Samples with ``img_shape``, for raw tokens.

        Raises:
            ValueError: If the tokens have no grid, or another grid than the settings say.
        """
        levels = tokens_of(feats, self.sources, self.feat_indices)
        return [
            self.token_grid.lay_out(level, drloc.in_channels, data_samples)
            for level, drloc in zip(levels, self.drlocs, strict=True)
        ]

    def forward(self, feats: tuple[Tensor, ...]) -> Any:
        """Return the scores of the wrapped head.

        Args:
            feats: Outputs of the backbone.
        """
        return self.cls_head(self._cls_feats(feats))

    def pre_logits(self, feats: tuple[Tensor, ...]) -> Any:
        """Return the features before the last layer of the wrapped head.

        Args:
            feats: Outputs of the backbone.
        """
        return self.cls_head.pre_logits(self._cls_feats(feats))

    def predict(
        self,
        feats: tuple[Tensor, ...],
        data_samples: list[DataSample | None] | None = None,
        **kwargs: Any,
    ) -> list[DataSample]:
        """Return the predictions of the wrapped head.

        Args:
            feats: Outputs of the backbone.
            data_samples: Samples to write to; new ones if None.
            **kwargs: Passed to the wrapped head.
        """
        return self.cls_head.predict(self._cls_feats(feats), data_samples, **kwargs)

    @property
    def loss_module(self) -> nn.Module:
        """The classification loss, which the host reads and replaces (SwitchRecipeHook)."""
        return self.cls_head.loss_module

    def __setattr__(self, name: str, value: Any) -> None:
        if name == 'loss_module':  # nn.Module would register a child beside the property
            self.cls_head.loss_module = value
        else:
            super().__setattr__(name, value)

    def _cls_feats(self, feats: Sequence[Any]) -> Any:
        """Return the input that the wrapped head would get in the plain model."""
        if self.neck is not None:
            return self.neck(tuple(feats))
        return class_features(feats, self.cls_source, self.num_extra_tokens)

    def _warn_if_frozen(self, grids: list[Tensor]) -> None:
        frozen = not any(grid.requires_grad for grid in grids)
        if self.training and torch.is_grad_enabled() and frozen and not self._warned:
            self._warned = True
            warnings.warn(
                'the backbone is frozen, or source is inside a block that with_cp recomputes '
                'without gradient: the localization loss only trains its own MLP',
                stacklevel=3,
            )

    def _accept_plain_weights(self, state_dict: dict, prefix: str, *args: Any) -> None:
        accept_plain_weights(self.drloc, state_dict, prefix)

    def extra_repr(self) -> str:
        """Return the settings that the sub-modules do not show."""
        return (
            f'feat_indices={self.feat_indices}, sources={self.sources}, '
            f'num_extra_tokens={self.num_extra_tokens}, grid_size={self.token_grid.size}, '
            f'patch_size={self.token_grid.patch_size}, cls_source={self.cls_source}'
        )

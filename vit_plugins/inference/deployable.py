"""A trained model as a network of tensors, with the metadata that a program needs to run it."""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.model import BaseModel
from mmpretrain.models import ImageClassifier
from mmpretrain.models.heads import MultiLabelClsHead
from torch import Tensor, nn

from ..config_edits.walking import image_size
from ..models.heads.vision_transformer_bce_head import VisionTransformerBCEHead
from ..models.retrievers.embedding_retriever import EmbeddingRetriever
from .classify import class_names
from .photos import PhotoModel, load_for_photos
from .resize_rule import fixed_size, resize_rule

TASKS = {'classify': 'scores', 'embed': 'embedding', 'features': 'features'}


class Network(nn.Module):
    """The deployed part of a model: images (B, C, H, W) in, float32 tensors out.

    Losses, the localization MLP, memories and momentum encoders are not part of it.

    Args:
        model: The trained model.
        task: ``'classify'``: probabilities (B, classes); ``'embed'``: descriptors (B, D) of
            length 1, projected by the model's PCA if it has one; ``'features'``: the maps
            (B, D, H, W) of the backbone's ``out_indices``.
        half: Whether to compute in float16; inputs and outputs stay float32.

    Raises:
        ValueError: If the model has no such output, or its PCA has not been fitted.
    """

    def __init__(self, model: BaseModel, task: str, half: bool = False) -> None:
        super().__init__()
        self.task = task
        self.dtype = torch.float16 if half else torch.float32
        self.backbone = copy.deepcopy(model.backbone)
        self.neck = copy.deepcopy(model.neck) if task != 'features' else None
        self.head = None
        if task == 'features':
            _return_maps(self.backbone)
        elif task == 'classify':
            self.head = copy.deepcopy(model.head)
            inner = getattr(self.head, 'cls_head', self.head)
            self.sigmoid = isinstance(inner, VisionTransformerBCEHead | MultiLabelClsHead)
            if hasattr(self.head, 'drloc'):
                del self.head.drloc
        elif model.pca is not None and not model.pca.is_fitted:
            raise ValueError(
                'the PCA of this model has not been fitted: take a checkpoint that was saved with '
                "a fitted one (custom_hooks=[dict(type='FitPCAHook')])"
            )
        self.to(self.dtype).eval()
        if task == 'embed' and model.pca is not None:  # stays float32
            self.register_buffer('mean', model.pca.mean.detach().clone())
            self.register_buffer('projection', model.pca.projection.detach().clone())

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return the outputs.

        Args:
            images: Normalised, (B, C, H, W) float32.
        """
        feats = self.backbone(images.to(self.dtype))
        if self.neck is not None:
            feats = self.neck(feats)
        if self.task == 'features':
            return tuple(feats_map.float() for feats_map in feats)
        if self.task == 'classify':
            logits = self.head(feats).float()
            return (logits.sigmoid() if self.sigmoid else logits.softmax(1),)
        pooled = (feats if isinstance(feats, Tensor) else feats[-1]).float()
        if hasattr(self, 'projection'):
            pooled = nn.functional.linear(pooled - self.mean, self.projection)
        return (nn.functional.normalize(pooled, dim=-1),)


def _return_maps(backbone: nn.Module) -> None:
    if hasattr(backbone, 'out_type'):
        if 'featmap' not in backbone.OUT_TYPES:
            raise ValueError(
                f'{type(backbone).__name__} has no maps: its out_type is one of '
                f'{", ".join(sorted(backbone.OUT_TYPES))}'
            )
        backbone.out_type = 'featmap'


@dataclass(frozen=True)
class Deployable:
    """The contents of an exported file, and the model that the file is checked against.

    Attributes:
        trained: The trained model with its test transforms.
        network: The network that is exported.
        size: Height and width of the images that the network is exported with.
        metadata: What a program must know to use the file, as text.
    """

    trained: PhotoModel
    network: Network
    size: tuple[int, int]
    metadata: dict[str, str]

    @property
    def channels(self) -> int:
        """Number of channels of an image."""
        return len(json.loads(self.metadata['mean']))


def load_deployable(
    cfg: Config,
    checkpoint: str | Path,
    *,
    features: bool = False,
    half: bool = False,
    dynamic_size: bool = False,
) -> Deployable:
    """Build a trained model for export.

    Args:
        cfg: The config that it was trained with; the training data need not be available.
        checkpoint: The file.
        features: Whether to export only the maps of the backbone, for dense prediction.
        half: Whether to compute in float16.
        dynamic_size: Whether height and width will be free.

    Raises:
        CheckpointMismatchError: If the checkpoint does not fit the config.
        ValueError: If the model or its test transforms cannot be deployed.
    """
    trained = load_for_photos(cfg, checkpoint, 'cpu')
    task = 'features' if features else task_of(trained.model)
    rule = resize_rule(trained.dataset['pipeline'])
    size = fixed_size(rule)
    if size is None:
        if not dynamic_size:
            raise ValueError(
                'the test pipeline gives photos of several sizes: export with --dynamic-size, or '
                'add Resize or CenterCrop to it'
            )
        side = image_size(cfg)
        size = (side, side) if isinstance(side, int) else side
    network = Network(trained.model, task, half)
    metadata = describe(trained, task, rule, size)
    metadata |= {'dynamic_size': json.dumps(dynamic_size), 'half': json.dumps(half)}
    return Deployable(trained, network, size, metadata)


def task_of(model: BaseModel) -> str:
    """Return the task of a model.

    Args:
        model: The model.

    Raises:
        ValueError: If it is neither a classifier nor a retriever.
    """
    if isinstance(model, EmbeddingRetriever):
        return 'embed'
    if isinstance(model, ImageClassifier):
        return 'classify'
    raise ValueError(
        f'a {type(model).__name__} is neither an ImageClassifier nor an EmbeddingRetriever: '
        'export the maps of its backbone with --features'
    )


def describe(
    trained: PhotoModel, task: str, rule: Sequence[dict], size: tuple[int, int]
) -> dict[str, str]:
    """Return the metadata of a file: all values are text, most of them JSON.

    Args:
        trained: The model.
        task: One of ``TASKS``.
        rule: How photos are resized.
        size: Height and width of the images.

    Raises:
        ValueError: If the data preprocessor has a step that the metadata cannot describe.
    """
    preprocessor = trained.model.data_preprocessor
    if getattr(preprocessor, 'pad_size_divisor', 1) > 1:
        raise ValueError(
            f'pad_size_divisor={preprocessor.pad_size_divisor} pads the images, which the '
            'exported file cannot describe: resize them to a multiple of it in the test pipeline'
        )
    loader = next((t for t in trained.dataset['pipeline'] if 'color_type' in t), {})
    grey = loader.get('color_type') == 'grayscale'
    channels = 1 if grey else 3
    mean, std = [0.0] * channels, [1.0] * channels
    if preprocessor._enable_normalize:
        mean, std = (getattr(preprocessor, key).flatten().tolist() for key in ('mean', 'std'))
    order = 'grey' if grey else 'rgb' if preprocessor.to_rgb else 'bgr'
    return {
        'task': task,
        'classes': json.dumps(class_names(trained) if task == 'classify' else []),
        'size': json.dumps(list(size)),
        'mean': json.dumps(mean),
        'std': json.dumps(std),
        'channel_order': order,
        'resize': json.dumps(list(rule)),
    }

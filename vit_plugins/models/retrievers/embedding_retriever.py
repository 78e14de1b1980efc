"""Encode images as descriptors: the model for training, evaluation and search."""

import torch
from mmengine.logging import print_log
from mmengine.model import ExponentialMovingAverage
from mmpretrain.models.backbones import VisionTransformer
from mmpretrain.models.retrievers import BaseRetriever
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample
from torch import Tensor, nn
from torch.nn import functional as F

from ...weights.names.deit import DEIT_NAMES
from ...weights.official_files import is_official, unwrap_training_state
from ..memories.cross_batch_memory import OLD_KEY
from .prototypes import encode_prototypes

# Parts of a checkpoint that a retriever does not need.
OPTIONAL_PARTS = ('head.', 'neck.', 'pca.', 'momentum_encoder.')


@MODELS.register_module()
class EmbeddingRetriever(BaseRetriever):
    """Encode images as l2-normalised descriptors, which are compared by their dot product.

    It has a backbone, pooling, a PCA if configured, and normalisation: IRT (El-Nouby et al., arXiv
    2102.05644) has no projection head. Metrics and search compare descriptors of the current
    weights. A gallery is in the model only if the host's ``ImageRetrievalInferencer`` sets one,
    and is not saved. Any backbone of MMPretrain fits, and any neck and head::

        model = dict(
            type='EmbeddingRetriever',
            backbone=dict(type='VisionTransformer', arch='deit-small'),
            neck=dict(type='TokenPooling', mode='cls'),
            head=dict(
                type='ContrastiveRetrievalHead',
                loss=dict(type='ContrastiveLoss', margin=0.5),
                memory=dict(type='CrossBatchMemory', size=59551),
                koleo=dict(type='KoLeoLoss', loss_weight=0.7),
            ),
        )

    Checkpoints of an ``ImageClassifier``, of the bare backbone, and of DeiT in official or timm
    names load as they are. Weights that the retriever does not have, such as a classifier's head,
    are dropped and logged.

    Args:
        backbone: Config or module; its last output goes to the neck.
        neck: Config, list of them or module that pools, see :class:`TokenPooling`; None if the
            backbone returns one vector per image.
        head: Config or module with ``loss(feats, data_samples)``; None if the model is never
            trained.
        pca: Config or module that projects pooled features (N, D) to (N, D'), after training;
            the loss does not use it.
        momentum_encoder: Momentum m of a second encoder, θ' = m θ' + (1 - m) θ after each
            step, whose embeddings fill the memory of the head (published: 0.999 for In-Shop).
            It runs in evaluation mode, starts as a copy of the online encoder, and is saved. It is
            updated at the start of the next training forward, which gives the same memory;
            with gradients accumulated over k batches, k times per step. None: the memory holds
            the online encoder's own embeddings.
        data_preprocessor: Config or module; the type is ClsDataPreprocessor if the config names
            none.
        init_cfg: Initialisation config.

    Raises:
        ValueError: If the momentum is out of range or there is no memory for it.
    """

    def __init__(
        self,
        backbone: dict | nn.Module,
        neck: dict | list[dict] | nn.Module | None = None,
        head: dict | nn.Module | None = None,
        pca: dict | nn.Module | None = None,
        momentum_encoder: float | None = None,
        data_preprocessor: dict | nn.Module | None = None,
        init_cfg: dict | list | None = None,
    ) -> None:
        if not isinstance(data_preprocessor, nn.Module):
            data_preprocessor = {'type': 'ClsDataPreprocessor', **(data_preprocessor or {})}
            data_preprocessor = MODELS.build(data_preprocessor)
        super().__init__(data_preprocessor=data_preprocessor, init_cfg=init_cfg)
        self.backbone = _built(backbone)
        self.neck = _built(neck)
        self.head = _built(head)
        self.pca = _built(pca)
        self._check_extra_tokens()
        self.prototype = self.prototype_vecs = None  # the gallery of the host's inferencer
        self.momentum_encoder = None
        if momentum_encoder is not None:
            if not 0.5 <= momentum_encoder < 1:
                raise ValueError(
                    f'momentum_encoder ({momentum_encoder}) is the share that stays and must be '
                    'at least 0.5 and below 1'
                )
            if getattr(self.head, 'memory', None) is None:
                raise ValueError(
                    f'momentum_encoder={momentum_encoder} fills a memory, and the head has none: '
                    "set memory=dict(type='CrossBatchMemory', ...) in ContrastiveRetrievalHead"
                )
            self.momentum_encoder = ExponentialMovingAverage(
                self._encoder(), momentum=1 - momentum_encoder
            )
            self.momentum_encoder.eval()
        self._register_load_state_dict_pre_hook(self._adapt_weights)

    def _check_extra_tokens(self) -> None:
        raw = getattr(self.backbone, 'out_type', None) == 'raw'
        given = getattr(self.neck, 'num_extra_tokens', None)
        found = getattr(self.backbone, 'num_extra_tokens', given)
        if raw and given is not None and given != found:
            raise ValueError(
                f'{type(self.backbone).__name__} puts {found} extra token(s) before the patches, '
                f'the neck expects {given}: set num_extra_tokens={found} in it'
            )

    def _encoder(self) -> nn.ModuleDict:
        """Group the modules that the momentum encoder follows."""
        parts = {'backbone': self.backbone, 'neck': self.neck}
        return nn.ModuleDict({name: part for name, part in parts.items() if part is not None})

    def train(self, mode: bool = True) -> 'EmbeddingRetriever':
        """Set the training mode; the momentum encoder stays in evaluation mode.

        Args:
            mode: Whether to train.
        """
        super().train(mode)
        if self.momentum_encoder is not None:
            self.momentum_encoder.eval()
        return self

    def forward(
        self,
        inputs: Tensor,
        data_samples: list[DataSample] | None = None,
        mode: str = 'tensor',
    ) -> Tensor | list[DataSample] | dict[str, Tensor]:
        """Compute descriptors (N, D'), samples with them, or losses.

        Args:
            inputs: Images (N, C, H, W).
            data_samples: Their annotations; needed for ``mode='loss'``.
            mode: ``'tensor'``, ``'predict'`` or ``'loss'``.

        Raises:
            ValueError: If there is no such mode.
        """
        if mode == 'tensor':
            return self.descriptors(inputs)
        if mode == 'predict':
            return self.predict(inputs, data_samples)
        if mode == 'loss':
            return self.loss(inputs, data_samples)
        raise ValueError(f"mode ({mode!r}) must be 'tensor', 'predict' or 'loss'")

    def extract_feat(self, inputs: Tensor) -> Tensor:
        """Encode images as pooled features (N, D), neither projected nor normalised.

        Args:
            inputs: Images (N, C, H, W).
        """
        return _pooled(inputs, self.backbone, self.neck)

    def descriptors(self, inputs: Tensor) -> Tensor:
        """Encode images as l2-normalised descriptors (N, D') in float32.

        Args:
            inputs: Images (N, C, H, W).
        """
        feats = self.extract_feat(inputs)
        with torch.autocast(feats.device.type, enabled=False):
            feats = feats.float()
            if self.pca is not None:
                feats = self.pca(feats)
            return F.normalize(feats.float(), dim=-1)

    def predict(
        self, inputs: Tensor, data_samples: list[DataSample] | None = None
    ) -> list[DataSample]:
        """Write each image's descriptor (D',) into its sample as ``embedding``.

        With a gallery of M images, ``pred_score`` (M,) holds the cosine similarity to each, and
        ``pred_label`` (M,) their indices, the most similar first.

        Args:
            inputs: Images (N, C, H, W).
            data_samples: Samples to write to; new ones if None.
        """
        embeddings = self.descriptors(inputs)
        if data_samples is None:
            data_samples = [DataSample() for _ in embeddings]
        for sample, embedding in zip(data_samples, embeddings, strict=True):
            sample.set_field(embedding, 'embedding', dtype=Tensor)
            if self.prototype_vecs is not None:
                similarity = self.matching(embedding[None])[0]
                order = similarity.argsort(descending=True, stable=True)
                sample.set_pred_score(similarity).set_pred_label(order)
        return data_samples

    def matching(self, inputs: Tensor) -> Tensor:
        """Compute the cosine similarity (N, M) of descriptors to the images of the gallery.

        Args:
            inputs: Descriptors (N, D'), of unit length.
        """
        return inputs @ self.prototype_vecs.T

    def prepare_prototype(self) -> None:
        """Encode the gallery that was set as ``prototype``, see :func:`encode_prototypes`."""
        self.prototype_vecs = None
        self.prototype_vecs = encode_prototypes(self, self.prototype)

    def dump_prototype(self, path: str) -> None:
        """Save the descriptors of the gallery.

        Args:
            path: The file, which can later be used as ``prototype``.
        """
        if self.prototype_vecs is None:
            self.prepare_prototype()
        torch.save(self.prototype_vecs, path)

    def loss(self, inputs: Tensor, data_samples: list[DataSample]) -> dict[str, Tensor]:
        """Compute the losses of the head.

        Args:
            inputs: Images (N, C, H, W).
            data_samples: Their annotations.

        Raises:
            ValueError: If there is no head.
        """
        if self.head is None:
            raise ValueError(
                "head=None has nothing to train with: set head=dict(type='"
                "ContrastiveRetrievalHead', ...) in EmbeddingRetriever"
            )
        feats = (self.extract_feat(inputs),)
        if self.momentum_encoder is None:
            return self.head.loss(feats, data_samples)
        with torch.no_grad():
            self.momentum_encoder.update_parameters(self._encoder())
            encoder = self.momentum_encoder.module
            keys = _pooled(inputs, encoder['backbone'], getattr(encoder, 'neck', None))
        return self.head.loss(feats, data_samples, keys=keys)

    def get_layer_depth(self, param_name: str) -> tuple[int, int]:
        """Return a parameter's depth and the number of depths, for layer-wise learning rates.

        Args:
            param_name: Name of the parameter.
        """
        return self.backbone.get_layer_depth(param_name, 'backbone.')

    def _adapt_weights(self, state_dict: dict, prefix: str, *args) -> None:
        """Rename the weights of other models to our names, in place, before they are loaded."""
        if not prefix:
            _replace(state_dict, unwrap_training_state(state_dict))
        if hasattr(self.backbone, '_checkpoint_filter'):
            self.backbone._checkpoint_filter(state_dict, prefix, *args)
        elif isinstance(self.backbone, VisionTransformer) and is_official(state_dict):
            _replace(state_dict, DEIT_NAMES.convert(state_dict))
        if not any(key.startswith(f'{prefix}backbone.') for key in state_dict):
            self._take_bare_backbone(state_dict, prefix)
        self._drop_foreign_parts(state_dict, prefix)
        if self.momentum_encoder is not None:
            self._start_momentum_encoder(state_dict, prefix)

    def _take_bare_backbone(self, state_dict: dict, prefix: str) -> None:
        names = self.backbone.state_dict().keys()
        found = [name for name in names if prefix + name in state_dict]
        if not found:
            raise RuntimeError(
                f'None of the {len(state_dict)} keys of the checkpoint belongs to a '
                f'{type(self.backbone).__name__}, for example {", ".join(list(state_dict)[:3])}. '
                f'Expected are names such as backbone.{next(iter(names))}.'
            )
        renamed = {f'{prefix}backbone.{name}': state_dict.pop(prefix + name) for name in found}
        if rest := [key for key in state_dict if key.startswith(prefix)]:
            print_log(f'EmbeddingRetriever: {", ".join(rest)} are not loaded.', 'current')
        for key in rest:
            del state_dict[key]
        state_dict.update(renamed)

    def _drop_foreign_parts(self, state_dict: dict, prefix: str) -> None:
        known = set()
        for part in OPTIONAL_PARTS:
            module = getattr(self, part[:-1])
            if module is not None:
                known |= {prefix + part + name for name in module.state_dict()}
        if getattr(self.head, 'memory', None) is not None:
            known.add(f'{prefix}head.memory.{OLD_KEY}')
        parts = tuple(prefix + part for part in OPTIONAL_PARTS)
        if dropped := [key for key in state_dict if key.startswith(parts) and key not in known]:
            print_log(f'EmbeddingRetriever: {", ".join(dropped)} are not loaded.', 'current')
        for key in dropped:
            del state_dict[key]

    def _start_momentum_encoder(self, state_dict: dict, prefix: str) -> None:
        """Start the momentum encoder as a copy of the online one if the weights lack it."""
        own = f'{prefix}momentum_encoder.'
        if any(key.startswith(own) for key in state_dict):
            return
        for name in self.momentum_encoder.module.state_dict():
            if prefix + name in state_dict:
                state_dict[f'{own}module.{name}'] = state_dict[prefix + name]
        state_dict[f'{own}steps'] = torch.zeros_like(self.momentum_encoder.steps)


def _built(part: dict | list[dict] | nn.Module | None) -> nn.Module | None:
    return part if part is None or isinstance(part, nn.Module) else MODELS.build(part)


def _pooled(inputs: Tensor, backbone: nn.Module, neck: nn.Module | None) -> Tensor:
    feats = backbone(inputs)
    feats = feats if neck is None else neck(feats)
    feats = feats if isinstance(feats, Tensor) else feats[-1]
    if not isinstance(feats, Tensor) or feats.ndim != 2:
        got = tuple(feats.shape) if isinstance(feats, Tensor) else f'{len(feats)} tensors'
        raise ValueError(
            f'features must be one vector per image (N, D), got {got}: set '
            "neck=dict(type='TokenPooling', mode=...) in EmbeddingRetriever"
        )
    return feats


def _replace(state_dict: dict, new: dict) -> None:
    if new is not state_dict:
        state_dict.clear()
        state_dict.update(new)

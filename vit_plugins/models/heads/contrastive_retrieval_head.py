"""A head that trains descriptors with a pair loss, a memory and a regulariser."""

import logging

import torch
from mmengine.dist import get_rank
from mmengine.logging import print_log
from mmengine.model import BaseModule
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample
from torch import Tensor, nn
from torch.nn import functional as F

from ...evaluation.functional.embedding_statistics import effective_rank
from .._precision import at_least_float32
from ..losses.contrastive_loss import pair_masks
from ..losses.koleo_loss import nearest_neighbours
from .gradient_diagnostics import gradient_noise, gradients_of
from .rank_gathering import gather_rows, gather_rows_with_gradient, gather_sizes

# With fewer classes in a batch, few used directions are no sign of a collapse.
MIN_CLASSES = 4


@MODELS.register_module()
class ContrastiveRetrievalHead(BaseModule):
    """Compare the batch with itself and with a memory, and spread its descriptors.

    The objective of IRT (El-Nouby et al., arXiv 2102.05644), IRT_L without and IRT_R with KoLeo:
    ``batch_weight`` × loss(batch, batch) + ``memory_weight`` × loss(batch, memory) + KoLeo(batch).
    The batch enters the memory first. Embeddings are l2-normalised here; everything after that is
    in float32, also under autocast.

    On several ranks the batch is that of all ranks, of whatever sizes: gradients averaged by DDP
    are those of one process with the joined batch, and every rank has the same memory.

    Beside the losses it returns, without adding them to the objective: ``positives`` and
    ``active_negatives`` per anchor in the batch, the same for the memory with ``memory_`` in
    front (if the loss returns them), and for the batch of all ranks ``neighbour_distance``, the
    mean distance to the nearest other descriptor, ``positive_similarity`` and
    ``negative_similarity``, the mean cosines of images of one class and of different classes, and
    ``effective_rank``. ``log_gradients`` adds the norms of the gradients of the objective's two
    parts with respect to the descriptors of all ranks, ``contrastive_gradient`` (batch and memory)
    and ``koleo_gradient``, which tell how much a KoLeo weight counts, and ``gradient_noise``, the
    γ of the paper's Fig. 4 (see :func:`gradient_noise`).

    A collapse is logged as a warning: descriptors near one point or one line, or classes that are
    not separated, as when KoLeo pushes positives away under a high margin (β = 0.9 with a weight
    of 0.5 and more in the paper's Table 5).

    Args:
        loss: Config or module of a pair loss; :class:`ContrastiveLoss` describes the interface.
        memory: Config or module, see :class:`CrossBatchMemory`; None to compare within the
            batch only.
        koleo: Config or module of a regulariser of all embeddings (N, D), see
            :class:`KoLeoLoss`.
        batch_weight: Factor of the batch term.
        memory_weight: Factor of the memory term.
        keep_self_positive: Whether an anchor's own entry in the memory is one of its positives if
            a momentum encoder computed it. If the online encoder did, the entry is the anchor
            itself, and no pair.
        collapse_similarity: Above this ``negative_similarity`` the descriptors count as one point.
        collapse_rank: Below this ``effective_rank`` they count as one line.
        collapse_gap: If ``positive_similarity`` exceeds ``negative_similarity`` by less than
            this, classes count as not separated.
        warn_interval: Iterations before a warning is repeated.
        log_gradients: Whether to measure the gradients; it costs one more backward pass through
            the losses, not through the backbone.
        init_cfg: Initialisation config.

    Raises:
        ValueError: If weights or limits are out of range.
    """

    def __init__(
        self,
        loss: dict | nn.Module,
        memory: dict | nn.Module | None = None,
        koleo: dict | nn.Module | None = None,
        batch_weight: float = 1.0,
        memory_weight: float = 1.0,
        keep_self_positive: bool = True,
        collapse_similarity: float = 0.95,
        collapse_rank: float = 2.0,
        collapse_gap: float = 0.05,
        warn_interval: int = 1000,
        log_gradients: bool = False,
        init_cfg: dict | list | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if not (batch_weight >= 0 and memory_weight >= 0):
            raise ValueError(
                f'batch_weight ({batch_weight}) and memory_weight ({memory_weight}) must not be '
                'negative'
            )
        if memory is None and batch_weight == 0:
            raise ValueError('batch_weight=0 without a memory leaves nothing to compare with')
        if not warn_interval >= 1:
            raise ValueError(f'warn_interval ({warn_interval}) must be at least 1')
        self.loss_module = MODELS.build(loss) if isinstance(loss, dict) else loss
        self.memory = MODELS.build(memory) if isinstance(memory, dict) else memory
        self.koleo = MODELS.build(koleo) if isinstance(koleo, dict) else koleo
        self.batch_weight = batch_weight
        self.memory_weight = memory_weight
        self.keep_self_positive = keep_self_positive
        self.collapse_similarity = collapse_similarity
        self.collapse_rank = collapse_rank
        self.collapse_gap = collapse_gap
        self.warn_interval = warn_interval
        self.log_gradients = log_gradients
        self._quiet_iters = 0

    def loss(
        self,
        feats: tuple[Tensor, ...],
        data_samples: list[DataSample],
        keys: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Return ``loss_contrastive``, ``loss_memory``, ``loss_koleo``, and the diagnostics.

        Args:
            feats: The last is the features of this rank's images (n, D), not normalised.
            data_samples: Samples with ``gt_label``.
            keys: Features of the same images by a momentum encoder, to fill the memory; None to
                fill it with ``feats``.
        """
        own = torch.cat([sample.gt_label for sample in data_samples]).to(feats[-1].device)
        with torch.autocast(feats[-1].device.type, enabled=False):
            embeddings = _normalised(feats[-1])  # (n, D)
            sizes = gather_sizes(embeddings)
            batch = gather_rows_with_gradient(embeddings, sizes)  # (N, D)
            labels = gather_rows(own, sizes)  # (N,)
            rows = torch.arange(len(batch), device=batch.device)
            # If the loss is a mean over anchors, each rank computes its share, weighted so that
            # DDP's mean over ranks is the mean over all anchors. Each rank computes all of any
            # other loss.
            factor, anchors, anchor_labels, anchor_rows = 1.0, batch, labels, rows
            if getattr(self.loss_module, 'mean_over_anchors', False):
                factor = len(own) * len(sizes) / sum(sizes)
                anchors, anchor_labels = embeddings, own
                anchor_rows = rows.split(sizes)[get_rank()]

            value, counts = self._compare(anchors, batch, anchor_labels, labels, anchor_rows)
            losses = {'loss_contrastive': self.batch_weight * factor * value}
            if self.memory is not None:
                own_entries = keys is None or not self.keep_self_positive
                keys = embeddings if keys is None else _normalised(keys)
                slots = self.memory.store(gather_rows(keys, sizes), labels)[anchor_rows]
                slots = slots if own_entries else None
                value, more = self._compare_with_memory(anchors, anchor_labels, slots)
                losses['loss_memory'] = self.memory_weight * factor * value
                counts |= {f'memory_{name}': count for name, count in more.items()}
            if self.koleo is not None:
                losses['loss_koleo'] = self.koleo(batch)
            counts |= self._measure_gradients(losses, embeddings, sizes)
            return losses | counts | self._diagnose(batch.detach(), labels)

    def _compare(self, *pairs: Tensor | None) -> tuple[Tensor, dict[str, Tensor]]:
        if hasattr(self.loss_module, 'with_diagnostics'):
            return self.loss_module.with_diagnostics(*pairs)
        return self.loss_module(*pairs), {}

    def _compare_with_memory(
        self, anchors: Tensor, labels: Tensor, slots: Tensor | None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        entries, entry_labels = self.memory.entries()
        if len(entry_labels) == 0:  # not started
            return anchors.sum() * 0, {}
        return self._compare(anchors, entries.to(anchors.dtype), labels, entry_labels, slots)

    def _measure_gradients(
        self, losses: dict[str, Tensor], embeddings: Tensor, sizes: list[int]
    ) -> dict[str, Tensor]:
        if not (self.log_gradients and embeddings.requires_grad):
            return {}
        parts = {'contrastive': losses['loss_contrastive'] + losses.get('loss_memory', 0)}
        if 'loss_koleo' in losses:
            parts['koleo'] = losses['loss_koleo']
        found = gradients_of(parts, embeddings, sizes)
        norms = {f'{name}_gradient': gradient.norm() for name, gradient in found.items()}
        return norms | {'gradient_noise': gradient_noise(found['contrastive'])}

    @torch.no_grad()
    def _diagnose(self, batch: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Measure how the descriptors of all ranks are spread, and warn if they collapse."""
        nearest = nearest_neighbours(batch)[1]
        positive, negative = pair_masks(labels, labels, torch.arange(len(batch)).to(batch.device))
        similarity = batch @ batch.T
        found = {
            'neighbour_distance': nearest[nearest.isfinite()].mean(),
            'positive_similarity': similarity[positive].mean(),
            'negative_similarity': similarity[negative].mean(),
            'effective_rank': batch.new_tensor(effective_rank(batch)),
        }
        self._quiet_iters = max(self._quiet_iters - 1, 0)
        if self._quiet_iters == 0 and len(labels.unique()) >= MIN_CLASSES:
            self._warn_of_collapse(*(float(value) for value in found.values()))
        return {name: value.nan_to_num() for name, value in found.items()}  # 0: nothing to measure

    def _warn_of_collapse(self, _: float, positive: float, negative: float, rank: float) -> None:
        # A batch without positives has a mean of NaN, and no comparison with NaN is true.
        if (
            negative <= self.collapse_similarity
            and rank >= self.collapse_rank
            and not positive - negative < self.collapse_gap
        ):
            return
        self._quiet_iters = self.warn_interval
        print_log(
            f'The descriptors collapse: the mean cosine of different classes is {negative:.3f} '
            f'(limit {self.collapse_similarity:g}), that of one class {positive:.3f} (at least '
            f'{self.collapse_gap:g} more), the effective rank {rank:.1f} (limit '
            f'{self.collapse_rank:g}). At the start of training from scratch that is usual; later '
            'lower the margin, the weight of KoLeo or the learning rate.',
            logger='current',
            level=logging.WARNING,
        )

    def extra_repr(self) -> str:
        """Return the settings as text for ``repr``."""
        return (
            f'batch_weight={self.batch_weight}, memory_weight={self.memory_weight}, '
            f'keep_self_positive={self.keep_self_positive}, '
            f'collapse_similarity={self.collapse_similarity}, collapse_rank={self.collapse_rank}, '
            f'collapse_gap={self.collapse_gap}, warn_interval={self.warn_interval}, '
            f'log_gradients={self.log_gradients}'
        )


def _normalised(feats: Tensor) -> Tensor:
    return F.normalize(at_least_float32(feats), dim=-1)

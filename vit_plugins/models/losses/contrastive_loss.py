"""The contrastive loss of pairs, within the batch or with a memory."""

import torch
from mmpretrain.registry import MODELS
from torch import Tensor, nn

from .._precision import at_least_float32

SIMILARITIES = ('cosine', 'euclidean')
REDUCTIONS = ('sum_per_anchor', 'mean_active')


def pair_masks(
    anchor_labels: Tensor, reference_labels: Tensor, self_index: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Compute which pairs are positive and which negative.

    Args:
        anchor_labels: Shape (N,).
        reference_labels: Shape (R,).
        self_index: Shape (N,): the reference that is the anchor itself and so no pair; -1 for
            none.

    Returns:
        Two masks (N, R).
    """
    same = anchor_labels[:, None] == reference_labels[None, :]
    different = ~same
    if self_index is not None and len(reference_labels):
        column = self_index.clamp(min=0)[:, None]  # (N, 1)
        for mask in (same, different):  # only these entries are touched
            mask.scatter_(1, column, mask.gather(1, column) & (self_index < 0)[:, None])
    return same, different


def cosine_terms(anchors: Tensor, references: Tensor, margin: float) -> tuple[Tensor, Tensor]:
    """Compute the cost of each pair if positive, 1 - s, and if negative, max(0, s - margin).

    Args:
        anchors: Unit vectors (N, D).
        references: Unit vectors (R, D).
        margin: β, the cosine below which negatives cost nothing.

    Returns:
        Two matrices (N, R).
    """
    similarity = anchors @ references.T
    return 1 - similarity, (similarity - margin).clamp(min=0)


def euclidean_terms(
    anchors: Tensor, references: Tensor, margin: float, eps: float = 1e-6
) -> tuple[Tensor, Tensor]:
    """Compute each pair's cost if positive, D²/2, and if negative, max(0, margin - D)²/2.

    D = ‖x - y + eps‖, as in cnnimageretrieval-pytorch.

    Args:
        anchors: Shape (N, D).
        references: Shape (R, D).
        margin: The distance beyond which negatives cost nothing.
        eps: Added to each coordinate of the difference.

    Returns:
        Two matrices (N, R).
    """
    exact = 'donot_use_mm_for_euclid_dist'  # dot products would lose small distances to rounding
    distance = torch.cdist(anchors + eps, references, compute_mode=exact)
    return distance.square() / 2, (margin - distance).clamp(min=0).square() / 2


@MODELS.register_module()
class ContrastiveLoss(nn.Module):
    """Pull positives together, push negatives apart up to a margin; Eq. (1) of IRT.

    El-Nouby et al., arXiv 2102.05644: of N anchors with labels y, against any references,

        L = 1/N Σ_i [ Σ_{j: y_j = y_i} (1 - s_ij) + Σ_{j: y_j ≠ y_i} max(0, s_ij - β) ].

    Pairs are summed and only anchors are averaged, so the loss grows with the number of positives
    and of active negatives per anchor. ``'mean_active'`` averages the non-zero positive costs and
    the non-zero negative costs, as pytorch-metric-learning does by default. A KoLeo weight that is
    small compared with the sum is large compared with this mean.

    The interface of a pair loss in :class:`ContrastiveRetrievalHead`: ``forward(anchors,
    references, anchor_labels, reference_labels, self_index)`` with unit vectors in float32 and
    ``self_index`` (N,) the row among the references that is the anchor itself, -1 for none.
    Optional are ``with_diagnostics``, the same with a dict of numbers to log, and
    ``mean_over_anchors``: the loss is a mean over anchors, so that each rank can compute a share
    of the anchors; without it every rank computes the loss of all anchors.

    Args:
        margin: β. Published: cosine 0.5, and Euclidean 0.85 for SfM-120k (a cosine of 0.63875).
        similarity: ``'cosine'``, or ``'euclidean'``, whose pairs cost D²/2 and
            max(0, margin - D)²/2.
        reduction: ``'sum_per_anchor'``, the paper's, or ``'mean_active'``.
        loss_weight: Factor of the loss.

    Raises:
        ValueError: If an argument is out of range.
    """

    def __init__(
        self,
        margin: float = 0.5,
        similarity: str = 'cosine',
        reduction: str = 'sum_per_anchor',
        loss_weight: float = 1.0,
    ) -> None:
        super().__init__()
        if similarity not in SIMILARITIES:
            raise ValueError(f'similarity ({similarity!r}) must be one of {SIMILARITIES}')
        if reduction not in REDUCTIONS:
            raise ValueError(f'reduction ({reduction!r}) must be one of {REDUCTIONS}')
        low, high = (-1, 1) if similarity == 'cosine' else (0, 2)
        if not low <= margin <= high:
            raise ValueError(
                f'margin ({margin}) must lie between {low} and {high} for the {similarity} '
                'similarity of unit vectors'
            )
        self.margin = margin
        self.similarity = similarity
        self.reduction = reduction
        self.loss_weight = loss_weight

    @property
    def mean_over_anchors(self) -> bool:
        """Whether the loss is the mean of one value per anchor."""
        return self.reduction == 'sum_per_anchor'

    def forward(
        self,
        anchors: Tensor,
        references: Tensor,
        anchor_labels: Tensor,
        reference_labels: Tensor,
        self_index: Tensor | None = None,
    ) -> Tensor:
        """Return the weighted loss.

        Args:
            anchors: Unit vectors (N, D).
            references: Unit vectors (R, D).
            anchor_labels: Shape (N,).
            reference_labels: Shape (R,).
            self_index: Shape (N,): the reference that is the anchor itself, -1 for none.

        Returns:
            Scalar, float32 or float64.
        """
        return self.with_diagnostics(
            anchors, references, anchor_labels, reference_labels, self_index
        )[0]

    def with_diagnostics(
        self,
        anchors: Tensor,
        references: Tensor,
        anchor_labels: Tensor,
        reference_labels: Tensor,
        self_index: Tensor | None = None,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the weighted loss, and ``positives`` and ``active_negatives`` per anchor.

        Args:
            anchors: As in :meth:`forward`.
            references: As in :meth:`forward`.
            anchor_labels: As in :meth:`forward`.
            reference_labels: As in :meth:`forward`.
            self_index: As in :meth:`forward`.
        """
        terms = cosine_terms if self.similarity == 'cosine' else euclidean_terms
        with torch.autocast(anchors.device.type, enabled=False):
            pull, push = terms(
                at_least_float32(anchors), at_least_float32(references), self.margin
            )
        positive, negative = pair_masks(anchor_labels, reference_labels, self_index)
        pull, push = pull.where(positive, 0.0), push.where(negative, 0.0)
        active = push > 0
        num_anchors = max(len(anchors), 1)  # a rank may have no images
        if self.mean_over_anchors:
            loss = (pull + push).sum() / num_anchors
        else:
            loss = _mean_of_active(pull, pull > 0) + _mean_of_active(push, active)
        counts = {'positives': positive, 'active_negatives': active}
        return self.loss_weight * loss, {
            name: mask.count_nonzero().float() / num_anchors for name, mask in counts.items()
        }

    def extra_repr(self) -> str:
        """Return the settings as text for ``repr``."""
        return (
            f'margin={self.margin}, similarity={self.similarity}, reduction={self.reduction}, '
            f'loss_weight={self.loss_weight}'
        )


def _mean_of_active(costs: Tensor, active: Tensor) -> Tensor:
    # the sum of a mask would first copy it to integers of eight bytes
    return costs.sum() / active.count_nonzero().clamp(min=1)

"""The contrastive loss of tuples of a query, its positive and its negatives."""

import torch
from mmpretrain.registry import MODELS
from torch import Tensor, nn

from .._precision import at_least_float32
from .device_check import require


def tuple_contrastive_loss(
    vectors: Tensor, tuple_size: int, margin: float, eps: float = 1e-6
) -> Tensor:
    """Compute the sum of the costs of each tuple's pairs with its query.

    Args:
        vectors: Shape (T·tuple_size, D); each tuple is a query, its positive, its negatives.
        tuple_size: Vectors in a tuple.
        margin: The distance beyond which negatives cost nothing.
        eps: Added to each coordinate of the difference.

    Returns:
        Shape (T,): D²/2 of the positive plus Σ max(0, margin - D)²/2 of the negatives, where
        D = ‖x - y + eps‖.
    """
    tuples = vectors.unflatten(0, (-1, tuple_size))  # (T, size, D)
    distance = (tuples[:, :1] - tuples[:, 1:] + eps).norm(dim=-1)  # (T, size - 1)
    pull = distance[:, 0].square()
    push = (margin - distance[:, 1:]).clamp(min=0).square().sum(1)
    return (pull + push) / 2


@MODELS.register_module()
class TupleContrastiveLoss(nn.Module):
    """The contrastive loss of cnnimageretrieval-pytorch, for SfM-120k with mined negatives.

    Radenović et al., "Fine-tuning CNN Image Retrieval with No Human Annotation", arXiv
    1711.02512, section 4.2. A batch is a sequence of tuples in the order of ``TupleSampler``:
    query, positive, then negatives. Each pair with the query has the cost of
    :class:`ContrastiveLoss` with ``similarity='euclidean'``. The costs are summed over pairs and
    tuples (the original accumulates the gradients of 5 tuples). It has the interface of a pair
    loss, see :class:`ContrastiveLoss`, but cannot be used with a memory.

    Args:
        tuple_size: Images in a tuple: 2 + the negatives.
        margin: The distance beyond which negatives cost nothing.
        loss_weight: Factor of the loss.

    Raises:
        ValueError: If an argument is out of range; later, if a batch has no whole tuples or the
            labels contradict the order.
    """

    mean_over_anchors = False

    def __init__(
        self, tuple_size: int = 7, margin: float = 0.85, loss_weight: float = 1.0
    ) -> None:
        super().__init__()
        if not tuple_size >= 3:
            raise ValueError(
                f'tuple_size ({tuple_size}) must be at least 3: a query, a positive, a negative'
            )
        if not 0 <= margin <= 2:
            raise ValueError(
                f'margin ({margin}) must lie between 0 and 2, the largest distance of unit vectors'
            )
        self.tuple_size = tuple_size
        self.margin = margin
        self.loss_weight = loss_weight

    def forward(
        self,
        anchors: Tensor,
        references: Tensor,
        anchor_labels: Tensor,
        reference_labels: Tensor,
        self_index: Tensor | None = None,
    ) -> Tensor:
        """Return the weighted loss, summed over pairs and tuples.

        Args:
            anchors: Unit vectors (T·tuple_size, D).
            references: The same vectors, because tuples are compared with nothing else.
            anchor_labels: Shape (T·tuple_size,).
            reference_labels: The same labels.
            self_index: Not needed: no vector is compared with itself.

        Returns:
            Scalar, float32 or float64.
        """
        if len(references) != len(anchors):
            raise ValueError(
                f'{len(references)} references for {len(anchors)} anchors: tuples compare with '
                'nothing outside; set memory=None in ContrastiveRetrievalHead'
            )
        if len(anchors) % self.tuple_size:
            raise ValueError(
                f'{len(anchors)} images are no whole tuples of {self.tuple_size}: set batch_size '
                'to a multiple of tuple_size, and drop_last=True'
            )
        self._check_order(anchor_labels)
        with torch.autocast(anchors.device.type, enabled=False):
            costs = tuple_contrastive_loss(at_least_float32(anchors), self.tuple_size, self.margin)
        return self.loss_weight * costs.sum()

    def _check_order(self, labels: Tensor) -> None:
        same = labels.unflatten(0, (-1, self.tuple_size)) == labels[:: self.tuple_size, None]
        needed = "query, positive, negatives: use sampler=dict(type='TupleSampler')"
        require(
            same[:, 1].all() & ~same[:, 2:].any(),
            lambda: (
                f'labels {labels[: self.tuple_size].tolist()}, ... are not in the order {needed} '
                'in the dataloader'
            ),
            f'labels are not in the order {needed}',
        )

    def extra_repr(self) -> str:
        """Return the settings, to print."""
        return (
            f'tuple_size={self.tuple_size}, margin={self.margin}, loss_weight={self.loss_weight}'
        )
